/** The page after its first visit: without a network, and when a newer version is there. */

import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serve } from '../../www/scripts/serve.mjs';
import { openPage, pictureIsDone, root, startBrowser } from './harness.ts';

let browser: Awaited<ReturnType<typeof startBrowser>> | undefined;
let dist = '';
beforeAll(async () => {
  browser = await startBrowser();
  dist = await mkdtemp(join(tmpdir(), 'diffcr-offline-'));
  await cp(`${root}www/dist`, dist, { recursive: true });
});
afterAll(async () => {
  await browser?.close();
  await rm(dist, { recursive: true, force: true });
});

for (const folder of ['/', '/a/folder/']) {
  test(`a second visit at ${folder} needs no network`, async () => {
    if (browser === undefined) throw new Error('no browser');
    const server = await serve({ mounts: { [folder]: dist } });
    const { page, close } = await openPage(browser, { serviceWorkers: 'allow' });
    const address = `${server.url.replace(/\/$/, '')}${folder}`;
    await page.goto(`${address}?device=cpu`);
    await pictureIsDone(page);
    await page.evaluate(async () => {
      const { active } = await navigator.serviceWorker.ready;
      const engine = (): Promise<boolean> => caches.keys().then(async (names) => {
        const name = names.find((each) => each.startsWith('diffcr-page-'));
        const kept = name === undefined ? [] : await (await caches.open(name)).keys();
        return active?.state === 'activated' && kept.some(({ url }) => url.endsWith('.wasm'));
      });
      while (!(await engine())) await new Promise((done) => setTimeout(done, 100));
    });
    await server.close();
    // Another picture than the one that is kept.
    await page.goto(`${address}?device=cpu&prompt=a%20small%20green%20square&seed=5`);
    await pictureIsDone(page);
    expect(await page.inputValue('#prompt')).toBe('a small green square');
    expect(await page.textContent('#backend')).toBe('CPU');
    // The manifest of the model is asked for, and what is kept of it answers.
    await close(/ERR_CONNECTION_REFUSED/);
  });
}

test('a new version is offered, and taken when the reader says so', async () => {
  if (browser === undefined) throw new Error('no browser');
  const server = await serve({ mounts: { '/': dist } });
  const { page, close } = await openPage(browser, { serviceWorkers: 'allow' });
  await page.goto(`${server.url}?device=cpu`);
  await pictureIsDone(page);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.reload();
  await page.waitForSelector('body[data-model=ready]');
  const offer = page.getByRole('button', { name: 'Reload with it' });
  expect(await offer.isVisible()).toBe(false);

  const [html, worker] = [join(dist, 'index.html'), join(dist, 'sw.js')];
  await writeFile(html, (await readFile(html, 'utf8')).replace('Words to pictures', 'Newer words to pictures'));
  await writeFile(worker, (await readFile(worker, 'utf8')).replace(/const VERSION = "\w+"/, 'const VERSION = "newer"'));
  await page.reload();
  await offer.waitFor();
  expect(await page.textContent('.tagline'), 'the old one is shown until then').toContain('Words to pictures');
  await offer.click();
  await page.waitForFunction(() => document.querySelector('.tagline')?.textContent?.includes('Newer') === true);
  await page.waitForSelector('body[data-model=ready]');
  expect(await offer.isVisible()).toBe(false);
  expect(await page.evaluate(() => caches.keys().then((names) => names.filter((name) => name.startsWith('diffcr-page-'))))).toEqual(['diffcr-page-newer']);
  await close();
  await server.close();
});
