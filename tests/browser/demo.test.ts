import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { expect, test } from 'vitest';
import { bytes } from '../../www/app/format.ts';
import { askFor, MODEL, modelIs, openDemo, openPage, pictureIsDone, pixels, screenshot, useSite } from './harness.ts';
import { nativePicture, toBytes } from './reference.ts';

const site = useSite();

const REQUEST = { prompt: 'a large red star on a blue background', seed: 11, steps: 4, guidance: 3 };
/** WebGPU against the CPU, both f32, after four steps: rounding may move a value to the next byte, or the one after. */
const BYTES = 2;

test('a prompt becomes the picture that the native engine draws, over WebGPU', async () => {
  const { page, close } = await openPage(site.browser);
  await openDemo(page, site.url);
  await askFor(page, REQUEST);
  await page.waitForSelector('body[data-run=running]');
  await page.waitForFunction(() => document.querySelector('#status')?.textContent?.startsWith('Step 2 of 4'));
  await screenshot(page, 'demo-running');
  await pictureIsDone(page);
  const got = await pixels(page);
  const expected = nativePicture(REQUEST);
  expect([got.height, got.width]).toEqual(expected.shape.slice(2));
  const differences = toBytes(expected).map((byte, i) => Math.abs(byte - (got.data[i] ?? Number.NaN)));
  console.log(`largest difference to the native picture: ${Math.max(...differences)} of 255`);
  expect(Math.max(...differences)).toBeLessThanOrEqual(BYTES);
  expect(new Set(got.data).size).toBeGreaterThan(20); // a picture, not a plain field
  await screenshot(page, 'demo-done');

  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')]);
  expect(download.suggestedFilename()).toBe('a-large-red-star-on-a-blue-background-11.png');
  const png = (await readFile(await download.path())).toString('latin1');
  const text = /iTXtdiffcr\0\0\0\0\0(\{.*?\})/.exec(png)?.[1] ?? '{}';
  expect(JSON.parse(text)).toMatchObject({ ...REQUEST, negativePrompt: '', width: got.width, height: got.height });

  await page.focus('#scrub');
  await page.keyboard.press('Home');
  expect(await page.textContent('#status')).toBe('Looking back at step 1 of 4');
  expect((await pixels(page)).data).not.toEqual(got.data);
  await page.keyboard.press('End');
  expect((await pixels(page)).data).toEqual(got.data);
  await close();
});

test('left to itself, the page takes the CPU build where WebGPU is software, and says so', async () => {
  const { page, close } = await openPage(site.browser);
  await page.goto(`${site.url}?draw=no`);
  await modelIs(page, 'ready');
  expect(await page.textContent('#backend')).toBe('CPU');
  expect(await page.textContent('#note')).toMatch(/^WebGPU computes on the CPU here \(.*swiftshader.*\)\. The model runs on the CPU build/i);
  await askFor(page, REQUEST);
  await pictureIsDone(page);
  const got = (await pixels(page)).data;
  const differences = toBytes(nativePicture(REQUEST)).map((byte, i) => Math.abs(byte - (got[i] ?? Number.NaN)));
  expect(Math.max(...differences)).toBeLessThanOrEqual(BYTES);
  await screenshot(page, 'demo-auto');
  await close();
});

test('the routing can be seen, and how much of the model runs can be chosen', async () => {
  const { page, close } = await openPage(site.browser);
  await page.goto(`${site.url}?device=cpu&draw=no`);
  await modelIs(page, 'ready');
  expect(await page.inputValue('#compression')).toBe('learned');
  await askFor(page, REQUEST);
  await pictureIsDone(page);
  expect(await page.isVisible('#heat')).toBe(false);
  await page.click('#routing');
  expect(await page.isVisible('#heat')).toBe(true);
  expect(await page.textContent('#heat-text')).toMatch(/at step 4, .* [1-4]\d % of the work was skipped/);
  const opacities = (): Promise<number[]> =>
    page.evaluate(() => {
      const heat = document.querySelector<HTMLCanvasElement>('#heat');
      if (heat === null) return [];
      const copy = new OffscreenCanvas(heat.width, heat.height).getContext('2d');
      copy?.drawImage(heat, 0, 0);
      return [...(copy?.getImageData(0, 0, heat.width, heat.height).data ?? [])].filter((_, i) => i % 4 === 3);
    });
  const last = await opacities();
  expect(last).toHaveLength(256);
  expect(new Set(last).size).toBeGreaterThan(2); // some parts ran more layers than others
  await screenshot(page, 'demo-routing');
  await page.focus('#scrub');
  await page.keyboard.press('Home');
  expect(await opacities()).not.toEqual(last);

  await page.selectOption('#compression', 'off');
  expect(await page.isVisible('#keep-details')).toBe(false);
  await askFor(page, REQUEST);
  await pictureIsDone(page);
  expect(await page.textContent('#heat-text')).toMatch(/ 0 % of the work was skipped/);
  await page.selectOption('#compression', 'fast');
  expect(await page.isVisible('#keep-details')).toBe(true);
  await close();
});

test('a run can be cancelled, and the next one is right', async () => {
  const { page, close } = await openPage(site.browser);
  await openDemo(page, site.url);
  await askFor(page, { ...REQUEST, steps: 50 });
  await page.waitForFunction(() => document.querySelector('#status')?.textContent?.startsWith('Step '));
  await page.click('#cancel');
  await page.waitForSelector('body[data-run=none]');
  expect(await page.isHidden('#fault')).toBe(true);
  await askFor(page, REQUEST);
  await pictureIsDone(page);
  const got = (await pixels(page)).data;
  const differences = toBytes(nativePicture(REQUEST)).map((byte, i) => Math.abs(byte - (got[i] ?? Number.NaN)));
  expect(Math.max(...differences)).toBeLessThanOrEqual(BYTES);
  await close();
});

test('loading can be cancelled and started again', async () => {
  const { page, close } = await openPage(site.browser);
  await page.goto(`${site.url}?model=faulty/slow/&device=cpu&draw=no`);
  await page.waitForFunction(() => document.querySelector('#bytes')?.textContent?.includes(' of '));
  await screenshot(page, 'demo-loading');
  await page.click('#cancel-load');
  await modelIs(page, 'idle');
  expect(await page.isHidden('#fault')).toBe(true);
  await expect.poll(() => page.workers().length).toBe(0);
  await page.click('#load');
  await modelIs(page, 'ready');
  await close();
});

test('the keyboard alone is enough, and a picture can be asked for while the model loads', async () => {
  const { page, close } = await openPage(site.browser, { colorScheme: 'dark', viewport: { width: 360, height: 740 } });
  await page.goto(`${site.url}?device=cpu&draw=no`);
  await page.focus('#prompt');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('a yellow ring and a dog on a black background');
  // Its own models' words the page knows before they are there.
  expect(await page.textContent('#words')).toBe('This model has never seen: dog');
  await page.fill('#steps', '2');
  await page.focus('#prompt');
  await page.keyboard.press('Control+Enter');
  await pictureIsDone(page);
  expect(await page.textContent('#words')).toBe('This model has never seen: dog');
  expect(await page.textContent('#backend')).toBe('CPU');
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
  await screenshot(page, 'demo-narrow-dark');
  await close();
});

test('the page tells what this browser keeps of the model, and removes it by keyboard', async () => {
  const { page, close } = await openPage(site.browser, { colorScheme: 'dark' });
  let fetched: string[] = [];
  page.on('request', (request) => void (request.url().includes(`/models/${basename(MODEL)}/`) && fetched.push(request.url().split('/').at(-1) ?? '')));
  /** What the visit fetched of the model. */
  const visit = async (): Promise<string[]> => {
    fetched = [];
    await page.goto(`${site.url}?device=cpu&draw=no`);
    await modelIs(page, 'ready');
    await page.waitForSelector('#remove:not([hidden])');
    return fetched;
  };
  const kept = (): Promise<string[]> => page.evaluate(async () => (await (await caches.open('diffcr-web')).keys()).map(({ url }) => url));
  const { files }: { files: { bytes: number; path: string }[] } = JSON.parse(await readFile(`${MODEL}/diffcr.json`, 'utf8'));
  const size = bytes(files.reduce((sum, file) => sum + file.bytes, 0));

  expect((await visit()).length).toBe(1 + files.length);
  expect(await page.getByRole('status').filter({ hasText: 'keeps' }).textContent()).toBe(`This browser keeps ${size} of weights, so that the next visit need not fetch them.`);
  expect(await visit()).toEqual(['diffcr.json']);
  expect((await kept()).length).toBe(1 + files.length);
  await page.locator('#remove').scrollIntoViewIfNeeded();
  await screenshot(page, 'demo-kept-dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await screenshot(page, 'demo-kept');

  await page.locator('summary').last().focus(); // of the negative prompt, the last thing before the footer
  await page.keyboard.press('Tab');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Remove the weights');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#remove', { state: 'hidden' });
  expect(await page.textContent('#kept')).toBe(`${size} of weights were removed from this browser; the next visit fetches them again.`);
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('kept');
  expect(await kept()).toEqual([]);
  await screenshot(page, 'demo-removed');

  await askFor(page, { ...REQUEST, steps: 2 }); // the loaded model is still there
  await pictureIsDone(page);
  expect((await visit()).length).toBe(1 + files.length);
  await close();
});

test('a worker that dies is told, and the model can be loaded again', async () => {
  const { page, close } = await openPage(site.browser);
  await page.goto(`${site.url}?device=cpu&draw=no`);
  await modelIs(page, 'ready');
  await askFor(page, { ...REQUEST, steps: 50 });
  await page.waitForFunction(() => document.querySelector('#status')?.textContent?.startsWith('Step '));
  await page.workers()[0]?.evaluate(() => void setTimeout(() => { throw new WebAssembly.RuntimeError('unreachable'); }));
  await page.waitForSelector('#fault:not([hidden])');
  expect(await page.textContent('#fault-code')).toBe('INTERNAL');
  await modelIs(page, 'idle');
  await page.click('#fault-retry');
  await modelIs(page, 'ready');
  await close(/RuntimeError: unreachable/);
});

test('words are offered and marked, a share of the work is chosen, every picture may have its own seed, and four are drawn to choose from', async () => {
  const { page, close } = await openPage(site.browser);
  await page.goto(`${site.url}?device=cpu&draw=no`);
  await modelIs(page, 'ready');
  await page.getByLabel('Steps').fill('2');

  // Words: how one could go on, what is not known, what is not read.
  const prompt = page.getByRole('textbox', { name: 'Prompt', exact: true });
  await prompt.fill('a dragon on a pur');
  expect(await page.textContent('#words')).toContain('This model has never seen: dragon');
  await page.getByRole('group', { name: 'Words that the model knows' }).getByRole('button', { name: 'purple' }).click();
  expect(await prompt.inputValue()).toBe('a dragon on a purple ');
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('prompt');
  expect(await page.getByRole('group', { name: 'Words that the model knows' }).isVisible()).toBe(false);
  await prompt.fill(`a red circle ${'on a blue background '.repeat(8)}`);
  expect(await page.textContent('#words')).toContain('It does not read that far: ');
  await prompt.fill('a red circle on a blue background');
  expect(await page.textContent('#words')).toBe('');

  // From dense to fast, by name and by share.
  const [share, preset] = [page.getByLabel('Skipped'), page.getByLabel('Compression')];
  await share.fill('0.45');
  expect(await page.textContent('#skip-value')).toBe('45 %');
  expect(await preset.inputValue()).toBe('0.45');
  await share.fill('0');
  expect(await preset.inputValue()).toBe('off');
  await preset.selectOption('learned');
  expect(await page.textContent('#skip-value')).toMatch(/^[1-9]\d? %$/);

  // Four pictures, of which another is chosen: its seed is the one that is shown and linked.
  await page.getByLabel('Seed', { exact: true }).fill('40');
  await page.getByRole('button', { name: 'Draw four' }).click();
  await page.waitForSelector('body[data-run=done]');
  const four = page.getByRole('group', { name: 'The four pictures' }).getByRole('button');
  expect(await four.count()).toBe(4);
  const first = (await pixels(page)).data.join();
  await four.nth(2).click();
  await page.waitForFunction(() => location.search.includes('seed=42'));
  expect((await pixels(page)).data.join()).not.toBe(first);
  expect(await four.nth(2).getAttribute('aria-pressed')).toBe('true');
  expect(await page.locator('#history-list li').count()).toBe(4);

  // A seed of its own for every picture.
  await page.getByLabel('A new seed for every picture').check();
  const seed = await page.inputValue('#seed');
  await page.click('#generate');
  await page.waitForFunction((before) => document.querySelector<HTMLInputElement>('#seed')?.value !== before, seed);
  await page.waitForSelector('body[data-run=done]');
  await screenshot(page, 'four');
  await close();
});

test('a picture has the size that is asked for, and its link too', async () => {
  const { page, close } = await openPage(site.browser);
  await page.goto(`${site.url}?device=cpu&draw=no`);
  await modelIs(page, 'ready');
  const size = page.getByRole('combobox', { name: 'Size' });
  expect(await size.locator('option').allTextContents()).toEqual([
    "128 × 128, the model's own", '192 × 128, wide', '128 × 192, tall', '192 × 192, large',
  ]);
  await page.getByLabel('Steps').fill('2');
  await size.selectOption('192x128');
  await page.click('#generate');
  await pictureIsDone(page);
  const { width, height } = await pixels(page);
  expect([width, height]).toEqual([192, 128]);
  expect(await page.evaluate(() => location.search)).toContain('size=192x128');
  expect(await page.textContent('#code')).toContain('  width: 192,\n  height: 128,\n');
  await screenshot(page, 'demo-wide');
  await page.getByRole('button', { name: 'Compare with dense' }).click();
  await page.waitForFunction(() => document.querySelector('#compare-name')?.textContent === 'Dense and routed' || document.querySelector('#compare-field:not([hidden])'));
  await size.selectOption('');
  await page.click('#generate');
  await pictureIsDone(page);
  expect(await page.evaluate(() => location.search)).not.toContain('size');
  await close();
});

test('a model is opened from a folder of this device, and a zip that is none says so', async () => {
  const { page, close } = await openPage(site.browser);
  await page.goto(`${site.url}?device=cpu&draw=no`);
  await modelIs(page, 'ready');
  await page.getByText('Models', { exact: true }).click();
  await page.locator('#model-folder-files').setInputFiles(MODEL);
  await page.waitForSelector('body[data-model=loading]');
  await modelIs(page, 'ready');
  expect(await page.textContent('#model-local')).toBe(`${basename(MODEL)}, until the page is left`);
  await page.getByLabel('Steps').fill('2');
  await page.click('#generate');
  await pictureIsDone(page);
  expect(await page.textContent('#code')).toContain('loadModel("/model/")');
  await page.locator('#model-zip-file').setInputFiles({ name: 'notes.zip', mimeType: 'application/zip', buffer: Buffer.from('no zip at all') });
  await page.waitForSelector('#fault:not([hidden])');
  expect(await page.textContent('#fault-code')).toBe('INVALID_INPUT');
  await close();
});
