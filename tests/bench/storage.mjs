/** What keeping and reading a model costs in each of a browser's stores, in Chromium with a profile on disk: `node storage.mjs` prints the table. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve } from '../../www/scripts/serve.mjs';
import { chromium, LAUNCH } from './chromium.mjs';

const ROUNDS = 5;
const MIB = 2 ** 20;
const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const sizesOf = (bundle) => JSON.parse(readFileSync(path(`../../www/public/models/${bundle}/diffcr.json`), 'utf8')).files.map(({ bytes }) => bytes);
const SETS = { scenes: sizesOf('scenes'), '256 MiB': Array(16).fill(16 * MIB) };

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const profile = mkdtempSync(join(tmpdir(), 'diffcr-storage-'));
const server = await serve({ mounts: { '/': path('pages') } });
// A page without a profile keeps everything in memory.
const context = await chromium.launchPersistentContext(profile, LAUNCH);
const page = context.pages()[0] ?? (await context.newPage());
page.setDefaultTimeout(300_000);
const measure = async (...args) => {
  // A new page: what the last one had in memory is gone.
  await page.goto(`${server.url}storage.html`);
  await page.waitForSelector('body[data-ready]', { state: 'attached' });
  return await page.evaluate((args) => globalThis.measure(...args), args);
};

console.log(`| files | bytes | store | write, ms | read, ms |\n|---|---|---|---|---|`);
for (const [name, sizes] of Object.entries(SETS)) {
  for (const kind of ['Cache API', 'OPFS on the page', 'OPFS in a worker']) {
    const [written, read] = [[], []];
    for (let round = 0; round < ROUNDS; round += 1) {
      await measure(kind, sizes, 'clear');
      written.push(await measure(kind, sizes, 'write'));
      read.push(await measure(kind, sizes, 'read'));
    }
    await measure(kind, sizes, 'clear');
    const total = sizes.reduce((sum, size) => sum + size, 0);
    console.log(`| ${name}, ${sizes.length} | ${(total / MIB).toFixed(1)} MiB | ${kind} | ${Math.round(median(written))} | ${Math.round(median(read))} |`);
  }
}
await context.close();
await server.close();
rmSync(profile, { recursive: true });
