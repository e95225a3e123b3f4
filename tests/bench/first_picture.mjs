/** Time from opening the page to its first finished picture, by phase, in Chromium on this machine. */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from '../../www/node_modules/playwright-core/index.mjs';
import { serve } from '../../www/scripts/serve.mjs';

const dist = fileURLToPath(new URL('../../www/dist', import.meta.url));
const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/google-chrome'].find((path) => existsSync(path));
const flags = ['--no-sandbox', '--enable-unsafe-webgpu', '--enable-features=Vulkan', '--use-webgpu-adapter=swiftshader', '--ignore-gpu-blocklist', '--disable-background-networking'];
const STEPS = 4;

const server = await serve({ mounts: { '/': dist } });
const browser = await chromium.launch({ executablePath, args: flags });
console.log(`\n${'page to picture, ms'.padEnd(24)} ${'model ready'.padStart(12)} ${'first step'.padStart(12)} ${'a step'.padStart(12)} ${'picture'.padStart(12)}`);
for (const device of ['webgpu', 'cpu']) {
  const page = await browser.newPage();
  page.setDefaultTimeout(600_000);
  const start = performance.now();
  const since = () => Math.round(performance.now() - start);
  await page.goto(`${server.url}?device=${device}`);
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
  await page.close();
}
await browser.close();
await server.close();
