/** Pages that use the packed package under every policy a site may set: one picture, to the byte. Adds about a minute and a half to CI. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createServer } from '../../www/node_modules/vite/dist/node/index.js';
import { serve } from '../../www/scripts/serve.mjs';
import { openPage, startBrowser } from '../browser/harness.ts';
import { installModel, installTarball, MODEL, root, type Project } from './tarball.ts';

interface Drawn {
  readonly hash?: number;
  readonly width?: number;
  readonly backend?: string;
  readonly error?: { readonly code: string; readonly message: string };
}

declare global {
  /** Set by the pages. */
  var result: Drawn | undefined;
}

const pages = fileURLToPath(new URL('pages/', import.meta.url));
const LIB = '/node_modules/diffcr-web/dist/index.js';
const STRICT = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; img-src data:";
const CORS = { 'access-control-allow-origin': '*', 'cross-origin-resource-policy': 'cross-origin' };

/** What browsers report of a worker's script of another origin, before a Blob imports it. */
const FIRST_TRY = /worker-src|cannot be accessed from origin|Worker/;

let project: Project;
let browser: Browser;
const stops: (() => Promise<void>)[] = [];
/** The picture of the first page. */
let picture: number | undefined;

/** A server of the pages, the package and the model, with these headers; its address without the last slash. */
async function site(headers: Record<string, string>, mounts: Record<string, string> = {}): Promise<string> {
  const started = await serve({
    mounts: { '/': pages, '/model/': MODEL, '/node_modules/': join(project.folder, 'node_modules'), ...mounts },
    headers: { 'frame-ancestors': "'self'", ...headers },
  });
  stops.push(started.close);
  return started.url.replace(/\/$/, '');
}

/** What a page shows that was sent to `address`. */
async function shown(page: Page, address: string): Promise<Drawn> {
  await page.goto(address);
  await page.waitForFunction(() => globalThis.result !== undefined, undefined, { timeout: 120_000 });
  return (await page.evaluate(() => globalThis.result)) ?? {};
}

/** What the page at `address` draws. */
async function visit(address: string, ...expected: RegExp[]): Promise<Drawn> {
  const { page, close } = await openPage(browser);
  const drawn = await shown(page, address);
  await close(...expected);
  return drawn;
}

beforeAll(async () => {
  project = installTarball();
  browser = await startBrowser();
});
afterAll(async () => {
  await browser?.close();
  await Promise.all(stops.map((stop) => stop()));
});

function same(drawn: Drawn): void {
  expect(drawn.error).toBeUndefined();
  picture ??= drawn.hash;
  expect(drawn).toEqual({ hash: picture, width: 128, backend: 'cpu' });
}

const at = (own: string, page = 'page.html', lib = LIB, model = '/model/'): string =>
  `${own}/${page}?lib=${encodeURIComponent(lib)}&model=${encodeURIComponent(model)}`;

test('under a strict policy', async () => {
  same(await visit(at(await site({ 'content-security-policy': STRICT }))));
});

test('isolated by COOP and COEP', async () => {
  const headers = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };
  same(await visit(at(await site({ 'content-security-policy': STRICT, ...headers }))));
});

test('under Trusted Types, with the policy of the package', async () => {
  const policy = `${STRICT}; require-trusted-types-for 'script'; trusted-types diffcr-web`;
  // The browser reports the first, plain, try.
  same(await visit(at(await site({ 'content-security-policy': policy })), /TrustedScriptURL/));
});

test('under Trusted Types that allow no policy, a typed error with the remedy', async () => {
  const policy = `${STRICT}; require-trusted-types-for 'script'; trusted-types 'none'`;
  const { error } = await visit(at(await site({ 'content-security-policy': policy })), /TrustedScriptURL|trusted-types|TrustedTypePolicy/i);
  expect(error).toMatchObject({ code: 'WORKER', message: expect.stringContaining('trusted-types') });
});

test('with code and weights of another origin', async () => {
  const cdn = await site({ ...CORS, 'content-security-policy': '' });
  const policy = `default-src 'none'; script-src 'self' ${cdn} 'wasm-unsafe-eval'; worker-src blob: ${cdn}; connect-src ${cdn}; img-src data:`;
  const own = await site({ 'content-security-policy': policy });
  same(await visit(at(own, 'page.html', cdn + LIB, `${cdn}/model/`), FIRST_TRY));
});

test('weights of another origin without CORS are told as such', async () => {
  const closed = await site({ 'content-security-policy': '' });
  const own = await site({ 'content-security-policy': '' });
  const { error } = await visit(at(own, 'page.html', LIB, `${closed}/model/`), /CORS|Failed to load resource/);
  expect(error).toMatchObject({ code: 'NETWORK', message: expect.stringContaining('Access-Control-Allow-Origin') });
});

test('in a worker of the page', async () => {
  same(await visit(at(await site({ 'content-security-policy': STRICT }), 'nested.html')));
});

test('in a sandboxed frame', async () => {
  const headers = { ...CORS, 'content-security-policy': '' };
  const own = await site(headers);
  same(await visit(at(own, 'sandbox.html', own + LIB, `${own}/model/`), FIRST_TRY));
});

test('by an import map, without a bundler, the model a package too', async () => {
  await installModel(project);
  same(await visit(`${await site({ 'content-security-policy': '' })}/import-map.html`));
});

test("without a network, the page's files kept by its service worker", async () => {
  const address = at(await site({ 'content-security-policy': STRICT }), 'offline.html');
  const { page, close } = await openPage(browser, { serviceWorkers: 'allow' });
  same(await shown(page, address));
  await stops.pop()?.();
  same(await shown(page, address));
  await close(/net::ERR_FAILED/); // the manifest is asked for, and what is kept of it answers
});

test('as an element', async () => {
  same(await visit(`${await site({ 'content-security-policy': '' })}/element.html`));
});

/** A folder with a page of this script. */
function write(name: string, script: string): string {
  const folder = join(project.folder, name);
  mkdirSync(folder);
  writeFileSync(
    join(folder, 'index.html'),
    '<!doctype html><link rel="icon" href="data:,"><script type="module" src="./main.js"></script>',
  );
  writeFileSync(join(folder, 'main.js'), script);
  return folder;
}

/** The folder that Vite builds a page of this script into. */
function buildWithVite(name: string, script: string): string {
  const folder = write(name, script);
  const build = [join(root, 'www/node_modules/vite/bin/vite.js'), 'build', '--base', '/sub/', '--outDir', 'out', '--target', 'esnext'];
  execFileSync(process.execPath, build, { cwd: folder, stdio: 'pipe' });
  return join(folder, 'out');
}

const SCRIPT = `import * as lib from 'diffcr-web'; import { draw } from '${pages}draw.js'; globalThis.result = await draw(lib, '/model/');`;

test("in Vite's dev server, which puts dependencies in other files", async () => {
  const folder = write('dev', SCRIPT);
  mkdirSync(join(folder, 'public'));
  symlinkSync(MODEL, join(folder, 'public/model'));
  const server = await createServer({ root: folder, configFile: false, logLevel: 'error', server: { port: 0, fs: { strict: false } } });
  await server.listen();
  stops.push(() => server.close());
  const address = server.resolvedUrls?.local[0] ?? '';
  same(await visit(address));
  const sent = await (await fetch(`${address}main.js`)).text();
  expect(sent).toContain('/.vite/deps/diffcr-web.js');
});

test('built by Vite under a sub-path', async () => {
  const built = buildWithVite('vite', SCRIPT);
  const own = await site({ 'content-security-policy': STRICT }, { '/sub/': built });
  same(await visit(`${own}/sub/index.html`));
});

test("in React's StrictMode, with the hook", async () => {
  for (const name of ['react', 'react-dom', 'scheduler']) {
    symlinkSync(join(root, 'www/node_modules', name), join(project.folder, 'node_modules', name));
  }
  const built = buildWithVite(
    'react',
    `import { createElement, StrictMode, useEffect } from 'react';
     import { createRoot } from 'react-dom/client';
     import { useModel } from 'diffcr-web/react';
     import { hashOf, OPTIONS, told } from '${pages}draw.js';
     function Picture() {
       const { pipe, error } = useModel('/model/', { device: 'cpu' });
       useEffect(() => {
         if (error !== undefined) globalThis.result = { error: told(error) };
         pipe?.generate(OPTIONS).then(
           ({ image }) => (globalThis.result = { hash: hashOf(image), width: image.width, backend: pipe.backend }),
           (error) => (globalThis.result = { error: told(error) }),
         );
       }, [pipe, error]);
       return null;
     }
     createRoot(document.body).render(createElement(StrictMode, null, createElement(Picture)));`,
  );
  const own = await site({ 'content-security-policy': STRICT }, { '/sub/': built });
  same(await visit(`${own}/sub/index.html`));
});
