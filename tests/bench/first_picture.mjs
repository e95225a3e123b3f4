/** Time from opening the page to its first finished picture, by phase, in Chromium: prints, and writes the section `page` of results.json. */

import { fileURLToPath } from 'node:url';
import { startChromium } from './chromium.mjs';
import { record } from './results.mjs';

const STEPS = 4;

const { newPage, url, version, close } = await startChromium({ '/': fileURLToPath(new URL('../../www/dist', import.meta.url)) });
const rows = [];
console.log(`\n${'page to picture, ms'.padEnd(24)} ${'model ready'.padStart(12)} ${'first step'.padStart(12)} ${'a step'.padStart(12)} ${'picture'.padStart(12)}`);
for (const device of ['webgpu', 'cpu']) {
  const page = await newPage();
  const start = performance.now();
  const since = () => Math.round(performance.now() - start);
  await page.goto(`${url}?device=${device}`);
  await page.waitForSelector('body[data-model=ready]');
  const ready = since();
  await page.fill('#prompt', 'a large red star on a blue background');
  await page.fill('#steps', String(STEPS));
  await page.click('#generate');
  await page.waitForFunction(() => /^Step [1-9]/.test(document.querySelector('#status')?.textContent ?? ''));
  const first = since();
  await page.waitForSelector('body[data-run=done]');
  const done = since();
  const step = Math.round((done - first) / (STEPS - 1));
  console.log(`${`${device}, ${STEPS} steps`.padEnd(24)} ${String(ready).padStart(12)} ${String(first - ready).padStart(12)} ${String(step).padStart(12)} ${String(done).padStart(12)}`);
  rows.push({ device, ready, firstStep: first - ready, step, picture: done });
  await page.close();
}
record('page', { chromium: version, adapter: 'SwiftShader', steps: STEPS, rows });
await close();
