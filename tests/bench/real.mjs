/**
 * A model of a real one's size in Chromium: what loading, reading a prompt and a step take of time and memory, cold and warm.
 * `node real.mjs BUNDLE [TOKENS…]`. Prints a table and writes the section `real size` of results.json.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { measure, mib } from '../browser/memory.mjs';
import { chromium } from '../../www/node_modules/playwright-core/index.mjs';
import { serve } from '../../www/scripts/serve.mjs';
import { FLAGS } from './chromium.mjs';
import { record } from './results.mjs';

const [bundle, ...counts] = process.argv.slice(2);
const tokens = counts.length > 0 ? counts.map(Number) : [256];
const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const { files, parts } = JSON.parse(readFileSync(`${bundle}/diffcr.json`, 'utf8'));
const bytesOf = (part) => files.filter((file) => file.part === part).reduce((sum, { bytes }) => sum + bytes, 0);

const profile = mkdtempSync(join(tmpdir(), 'diffcr-real-'));
const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/google-chrome'].find((path) => existsSync(path));
const server = await serve({ mounts: { '/test/': at('../browser/pages/'), '/pkg/': at('../../pkg/dist/'), '/bundle/': resolve(bundle) } });
const context = await chromium.launchPersistentContext(profile, { executablePath, args: FLAGS });

/** Resident bytes of this browser's processes of a kind. */
function resident(kind) {
  const lines = execFileSync('ps', ['-eo', 'rss=,args='], { encoding: 'utf8' }).split('\n');
  const of = lines.filter((line) => line.includes(profile) && line.includes(`--type=${kind}`));
  return of.reduce((sum, line) => sum + 1024 * Number.parseInt(line, 10), 0);
}

/** A page of its own: what it loads and runs, and how much it fetched. */
async function visit(run) {
  const page = await context.newPage();
  page.setDefaultTimeout(3_600_000);
  page.on('console', (message) => message.type() === 'error' && console.error(message.text()));
  let fetched = 0;
  page.on('response', (response) => {
    fetched += response.url().includes('/bundle/') && response.url().endsWith('.safetensors') ? Number(response.headers()['content-length'] ?? 0) : 0;
  });
  await page.goto(`${server.url}test/api.html`);
  await page.waitForSelector('body[data-api=ready]', { state: 'attached' });
  const found = await measure(page, `${server.url}bundle/`, { concurrency: 2, run });
  const processes = { gpu: resident('gpu-process'), renderer: resident('renderer') };
  await page.close();
  return { ...found, fetched, processes };
}

const cell = parts.transformer.patchSize * 8;
const sideOf = (count) => Math.sqrt(count) * cell;
const rows = [];
const note = (what, { loadMs, stepMs, heap, loaded, ran, fetched, processes }) => {
  rows.push({ what, loadMs, stepMs, fetched, heap, loaded, ran, processes });
  console.log(
    `${what}: loaded in ${(loadMs / 1000).toFixed(1)} s, first step ${(stepMs / 1000).toFixed(1)} s, fetched ${mib(fetched)} MiB; wasm ${mib(ran.wasm)} MiB; ` +
      `on the GPU ${mib(loaded.gpu)} loaded, ${mib(ran.gpuPeak)} at the most, ${mib(ran.gpu)} after; largest binding ${mib(ran.largestBinding)}; ` +
      `GPU process ${mib(processes.gpu)}, renderers ${mib(processes.renderer)}`,
  );
};

console.log(`text encoder ${mib(bytesOf('textEncoder'))} MiB, transformer ${mib(bytesOf('transformer'))}, autoencoder ${mib(bytesOf('vae'))}`);
const first = sideOf(tokens[0]);
const prompt = 'a large red circle on a blue background';
note(`cold, a prompt read, a step of ${tokens[0]} tokens`, await visit({ prompt, guidance: 1, width: first, height: first }));
for (const count of tokens) {
  const side = sideOf(count);
  note(`warm, the prompt known, a step of ${count} tokens`, await visit({ prompt, guidance: 1, width: side, height: side }));
}
note('warm, another prompt', await visit({ prompt: 'a green star', guidance: 1, width: first, height: first }));
const version = context.browser()?.version();
await context.close();
await server.close();
rmSync(profile, { recursive: true });
record('real size', { chromium: version, adapter: 'SwiftShader', files: { textEncoder: bytesOf('textEncoder'), transformer: bytesOf('transformer'), vae: bytesOf('vae') }, rows });
