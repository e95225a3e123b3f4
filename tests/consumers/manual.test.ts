/** Every block of TypeScript and HTML in the manuals, as it is written: its types are checked, and it is run to what it promises. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createServer, type ViteDevServer } from '../../www/node_modules/vite/dist/node/index.js';
import { openPage, startBrowser } from '../browser/harness.ts';
import { installModel, installTarball, MODEL, root } from './tarball.ts';

interface Block {
  /** File and line, for people. */
  readonly name: string;
  readonly language: string;
  readonly text: string;
}

/** What holds a block: its first line that names it, what a page has around it, and what is to be seen once it has run. */
interface Held {
  readonly of: string;
  readonly before?: string;
  readonly after?: string;
  readonly see: (page: Page) => Promise<void>;
}

function blocks(path: string): Block[] {
  const text = readFileSync(join(root, path), 'utf8');
  return [...text.matchAll(/^```(tsx?|jsx?|html)\n(.*?)^```$/gms)].map(({ index, 1: language = '', 2: block = '' }) => ({
    name: `${path}:${text.slice(0, index).split('\n').length}`,
    language,
    text: block,
  }));
}

const MANUALS = ['README.md', 'pkg/README.md', 'docs/package.md', 'docs/troubleshooting.md', 'examples/README.md'];
const all = MANUALS.flatMap(blocks);

/** How many colours a picture has that lies in a canvas or an image. */
async function colours(page: Page, selector: string): Promise<number> {
  return await page.evaluate(async (selector) => {
    const found = document.querySelector(selector) ?? document.querySelector('diffcr-image')?.shadowRoot?.querySelector(selector);
    if (!(found instanceof HTMLImageElement || found instanceof HTMLCanvasElement)) return 0;
    if (found instanceof HTMLImageElement) await found.decode();
    const context = Object.assign(document.createElement('canvas'), { width: 128, height: 128 }).getContext('2d');
    context?.drawImage(found, 0, 0);
    return new Set(new Uint32Array(context?.getImageData(0, 0, 128, 128).data.buffer ?? new ArrayBuffer())).size;
  }, selector);
}

const drawnIn = (selector: string) => async (page: Page) => {
  await expect.poll(() => colours(page, selector), { timeout: 120_000 }).toBeGreaterThan(10);
};

const HELD: readonly Held[] = [
  { of: "loadModel('https://example.org/models/scenes-q4/'", see: drawnIn('img') },
  {
    of: "loadModel('https://host/models/scenes/'",
    before: "const context = document.body.appendChild(document.createElement('canvas')).getContext('2d')!;\n",
    after: "if (png.type !== 'image/png') throw new Error(png.type);\n",
    see: drawnIn('canvas'),
  },
  {
    of: "import model from 'diffcr-web-stickers'",
    after: 'document.title = pipe.backend;\n',
    see: async (page) => expect.poll(() => page.title(), { timeout: 120_000 }).toBe('cpu'),
  },
  {
    of: "import { useModel } from 'diffcr-web/react'",
    // The hook belongs into a component.
    before: "import { createElement } from 'react';\nimport { createRoot } from 'react-dom/client';\nfunction Picture() {\n",
    after:
      "return `${error?.message ?? ''} ${progress?.overall ?? 0} ${pipe?.backend ?? ''}`;\n}\ncreateRoot(document.body).render(createElement(Picture));\n",
    see: async (page) => expect.poll(() => page.textContent('body'), { timeout: 120_000 }).toMatch(/^ [\d.]+ cpu$/),
  },
  { of: '<diffcr-image model=', see: drawnIn('canvas') },
];

test('each block is held, and each holder has its block', () => {
  expect(all.length).toBeGreaterThan(4);
  expect(all.map(({ name, text }) => [name, HELD.filter(({ of }) => text.includes(of)).length])).toEqual(all.map(({ name }) => [name, 1]));
  expect(HELD.filter(({ of }) => !all.some(({ text }) => text.includes(of)))).toEqual([]);
});

const heldBy = ({ text }: Block): Held | undefined => HELD.find(({ of }) => text.includes(of));

/** A block as a module: what it imports comes first, whatever is around it. */
function moduleOf(block: Block): string {
  const { before = '', after = '' } = heldBy(block) ?? {};
  const lines = block.text.split('\n');
  const isImport = (line: string): boolean => line.startsWith('import ');
  return [...lines.filter(isImport), before, ...lines.filter((line) => !isImport(line)), after].join('\n');
}

let folder: string;
let browser: Browser;
let server: ViteDevServer;
const fileOf = (block: Block): string => `block-${all.indexOf(block)}`;

beforeAll(async () => {
  const project = installTarball();
  folder = project.folder;
  await installModel(project, 'diffcr-web-stickers');
  mkdirSync(join(folder, 'node_modules/@types'));
  for (const name of ['react', 'react-dom', 'scheduler', 'vite', '@types/react', '@types/react-dom']) {
    symlinkSync(join(root, 'www/node_modules', name), join(folder, 'node_modules', name));
  }
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  for (const block of all) {
    const scripted = block.language === 'html' ? block.text : `<script type="module" src="./${fileOf(block)}.ts"></script>`;
    writeFileSync(join(folder, `${fileOf(block)}.html`), `<!doctype html><link rel="icon" href="data:,"><body>${scripted}</body>`);
    if (block.language !== 'html') writeFileSync(join(folder, `${fileOf(block)}.ts`), moduleOf(block));
  }
  mkdirSync(join(folder, 'public/models'), { recursive: true });
  symlinkSync(MODEL, join(folder, 'public/models/scenes'));
  server = await createServer({ root: folder, configFile: false, logLevel: 'error', server: { port: 0, fs: { strict: false } } });
  await server.listen();
  browser = await startBrowser();
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
});

test("the blocks' types, and the example's", () => {
  const example = join(root, 'examples/vite');
  for (const name of ['main.ts', 'vite.config.ts']) writeFileSync(join(folder, name), readFileSync(join(example, name)));
  const files = [...all.filter(({ language }) => language !== 'html').map((block) => `${fileOf(block)}.ts`), 'main.ts', 'vite.config.ts'];
  const settings = {
    noEmit: true,
    strict: true,
    target: 'es2022',
    lib: ['es2022', 'dom', 'dom.iterable'],
    module: 'esnext',
    moduleResolution: 'bundler',
    moduleDetection: 'force',
    types: [],
    skipLibCheck: true,
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: settings, files }));
  const tsc = join(root, 'www/node_modules/typescript-7/bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8', stdio: 'pipe' });
});

describe('run', () => {
  test.each(all.map((block) => [block.name, block] as const))('%s', async (_, block) => {
    const { page, close } = await openPage(browser);
    // The hosts that the manuals make up.
    await page.route(/^https:\/\/(host|example\.org)\/models\/[^/]+\//, async (route) => {
      const path = join(MODEL, new URL(route.request().url()).pathname.split('/').slice(3).join('/'));
      const headers = { 'access-control-allow-origin': '*' };
      await route.fulfill(existsSync(path) ? { path, headers } : { status: 404, headers });
    });
    await page.goto(`${server.resolvedUrls?.local[0] ?? ''}${fileOf(block)}.html`);
    await heldBy(block)?.see(page);
    await close();
  });
});
