/** The page as a person meets it, before an engine is there: what is said, what is kept, what is opened, and that all of it can be reached. */

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { encodePng, withText } from '../../www/lib/png.ts';
import { openPage, root, screenshot, useSite, type Watched } from './harness.ts';

const site = useSite();
const AXE = `${root}www/node_modules/axe-core/axe.min.js`;

const PARAMS = {
  prompt: 'a cyan ring above a pink square', negativePrompt: 'dots', seed: 41, steps: 9, guidance: 2.5, solver: 'ddim', compression: 'off', width: 64, height: 64,
  modelVersion: 'x',
};

/** A visitor who saves data: nothing is fetched unasked. */
async function visit(query = '', options: Parameters<typeof openPage>[1] = {}): Promise<Watched> {
  const watched = await openPage(site.browser, options);
  watched.page.setDefaultTimeout(20_000);
  await watched.page.addInitScript(() => Object.defineProperty(navigator, 'connection', { value: { saveData: true } }));
  await watched.page.goto(`${site.url}${query}`);
  await watched.page.getByRole('button', { name: 'Load the model' }).waitFor();
  return watched;
}

async function ours(width = 64, height = 64): Promise<Buffer> {
  const data = new Uint8ClampedArray(4 * width * height).map((_, i) => (i % 4 === 3 ? 255 : (i * 7) % 251));
  return Buffer.from(withText(await encodePng({ width, height, data }), 'diffcr', JSON.stringify(PARAMS)));
}

/** Files dropped on the part of the page that `selector` names. */
async function drop(page: Page, selector: string, name: string, type: string, bytes: Buffer): Promise<void> {
  const transfer = await page.evaluateHandle(
    ({ name, type, list }) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(list)], name, { type }));
      return data;
    },
    { name, type, list: [...bytes] },
  );
  await page.dispatchEvent(selector, 'drop', { dataTransfer: transfer });
}

/** What axe has to say, one line a rule. */
async function complaints(page: Page): Promise<string[]> {
  await page.evaluate(await readFile(AXE, 'utf8'));
  return await page.evaluate(async () => {
    interface Found { readonly id: string; readonly nodes: readonly { readonly target: readonly unknown[]; readonly failureSummary?: string }[] }
    const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: readonly Found[] }> } };
    return (await axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')} ${nodes[0]?.failureSummary ?? ''}`);
  });
}

/** Controls that a finger would miss. */
async function small(page: Page): Promise<string[]> {
  return await page.evaluate(() =>
    [...document.querySelectorAll('button, select, summary, textarea, input:not([type=checkbox]):not([type=file])')].flatMap((each) => {
      const { width, height } = each.getBoundingClientRect();
      return width === 0 || (width >= 44 && height >= 44) ? [] : [`${each.id || each.className || each.tagName} ${Math.round(width)} x ${Math.round(height)}`];
    }),
  );
}

test('before anything is fetched: three pictures, a sentence, the size, and the code', async () => {
  const { page, close } = await visit();
  const fetched = await page.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => name));
  expect(fetched.filter((name) => /\.(wasm|safetensors)$/.test(name))).toEqual([]);
  const pictures = page.getByRole('group', { name: 'Pictures that the model drew' }).getByRole('img');
  expect(await pictures.count()).toBe(3);
  for (const picture of await pictures.all()) {
    const box = await picture.boundingBox();
    expect((box?.y ?? Infinity) + (box?.height ?? 0)).toBeLessThanOrEqual(900);
  }
  expect(await page.getByText(/coloured shapes/).isVisible()).toBe(true);
  if (existsSync(`${root}pkg/dist/diffcr_cpu_bg.wasm`)) expect(await page.getByText(/A first visit fetches \d+\.\d MB: engine and model\./).isVisible()).toBe(true);
  const install = await page.getByText('npm install diffcr-web').boundingBox();
  expect(install?.y).toBeLessThan(850);
  expect(await page.getByRole('link', { name: 'npm' }).isVisible()).toBe(true);
  await page.getByRole('group', { name: 'Pictures that the model drew' }).getByRole('button', { name: /^a white moon/ }).click();
  expect(await page.getByRole('textbox', { name: 'Prompt', exact: true }).inputValue()).toMatch(/^a white moon/);
  await screenshot(page, 'page-first');
  await close();
});

test('the page says what it may load, on hosts that say nothing', async () => {
  const html = await readFile(`${root}www/dist/index.html`, 'utf8');
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1]?.replaceAll('&#39;', "'") ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'self' 'wasm-unsafe-eval'");
  expect(html.indexOf('Content-Security-Policy')).toBeLessThan(html.indexOf('<script'));
});

test('a link fills in every setting', async () => {
  const { page, close } = await visit('?prompt=a%20red%20star&seed=99&steps=5&guidance=2&compression=off&solver=euler');
  expect(await page.getByRole('textbox', { name: 'Prompt', exact: true }).inputValue()).toBe('a red star');
  expect(await page.getByRole('spinbutton', { name: 'Seed' }).inputValue()).toBe('99');
  expect(await page.getByRole('slider', { name: /^Steps/ }).inputValue()).toBe('5');
  expect(await page.getByRole('combobox', { name: 'Solver' }).inputValue()).toBe('euler');
  await close();
});

test('a PNG of ours dropped anywhere restores its settings; a file that is no picture says so and changes nothing', async () => {
  const { page, close } = await visit();
  await drop(page, 'footer', 'star.png', 'image/png', await ours());
  await page.getByRole('img', { name: 'Picture of "a cyan ring above a pink square"' }).waitFor();
  expect(await page.getByRole('spinbutton', { name: 'Seed' }).inputValue()).toBe('41');
  expect(await page.getByRole('combobox', { name: 'Solver' }).inputValue()).toBe('ddim');
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download PNG' }).click()]);
  expect(download.suggestedFilename()).toBe('a-cyan-ring-above-a-pink-square-41.png');
  await drop(page, 'footer', 'notes.pdf', 'application/pdf', Buffer.from('%PDF'));
  await page.getByText('notes.pdf is no image, but application/pdf').waitFor();
  expect(await page.getByRole('img', { name: /^Picture of/ }).isVisible()).toBe(true);
  await close();
});

test('a seed being typed is left alone', async () => {
  const { page, close } = await visit();
  const seed = page.getByRole('spinbutton', { name: 'Seed' });
  await seed.fill('');
  await page.getByRole('slider', { name: /^Guidance/ }).evaluate((input: HTMLInputElement) => {
    input.value = '4';
    input.dispatchEvent(new Event('input'));
  });
  expect(await seed.inputValue()).toBe('');
  await seed.pressSequentially('12');
  expect(await seed.inputValue()).toBe('12');
  await close();
});

test('the editor: shortcuts anywhere in it, undo, why it would run no step, and Esc leads back', async () => {
  const { page, close } = await visit();
  await drop(page, 'footer', 'star.png', 'image/png', await ours());
  await page.getByRole('button', { name: 'Change a part' }).click();
  const box = await page.getByRole('application').boundingBox();
  await page.mouse.move((box?.x ?? 0) + 100, (box?.y ?? 0) + 100);
  await page.mouse.down();
  await page.mouse.move((box?.x ?? 0) + 150, (box?.y ?? 0) + 120);
  await page.mouse.up();
  const draw = page.getByRole('button', { name: 'Inpaint' });
  expect(await draw.isEnabled()).toBe(true);
  await page.getByRole('slider', { name: /^Steps/ }).fill('1');
  await page.getByRole('slider', { name: /^Strength/ }).fill('50');
  await page.getByText('1 step runs none at a strength of 50 %').waitFor();
  expect(await draw.isDisabled()).toBe(true);
  await page.keyboard.press('e'); // the strength has the focus
  expect(await page.getByRole('button', { name: 'Eraser' }).getAttribute('aria-pressed')).toBe('true');
  await page.keyboard.press('Control+z');
  expect(await page.getByRole('button', { name: 'Undo' }).isDisabled()).toBe(true);
  await page.keyboard.press('Escape');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Change a part');
  await close();
});

test('what an empty prompt does is said', async () => {
  const { page, close } = await visit();
  await page.getByRole('textbox', { name: 'Prompt', exact: true }).fill('');
  await page.getByText('Without a prompt the model draws whatever the seed gives.').waitFor();
  await close();
});

for (const [name, options] of [
  ['light', {}],
  ['dark', { colorScheme: 'dark' }],
  ['narrow', { viewport: { width: 360, height: 740 } }],
  ['forced', { forcedColors: 'active' }],
] as const) {
  test(`every state before the engine can be used by all: ${name}`, async () => {
    const { page, close } = await visit('', options);
    const fits = (): Promise<boolean> => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
    const check = async (state: string): Promise<void> => {
      await screenshot(page, `page-${state}-${name}`);
      expect({ state, axe: await complaints(page), small: await small(page), fits: await fits() }).toEqual({ state, axe: [], small: [], fits: true });
    };
    await check('first');
    await drop(page, 'footer', 'star.png', 'image/png', await ours());
    await page.getByRole('button', { name: 'Download PNG' }).waitFor();
    await check('opened');
    await page.getByRole('button', { name: 'Change a part' }).click();
    await page.getByText('Enlarge the picture').click();
    await check('editor');
    await drop(page, 'footer', 'notes.pdf', 'application/pdf', Buffer.from('%PDF'));
    await page.getByText('notes.pdf is no image').waitFor();
    await check('fault');
    await close();
  });
}

test('what the page runs on, what it took, and what it keeps can be looked up; another model can be opened', async () => {
  const { page, close } = await openPage(site.browser);
  await page.goto(`${site.url}?device=cpu`);
  await page.waitForSelector('body[data-run=done]');
  await page.getByText('Device and times').click();
  const facts = page.locator('#facts');
  expect(await facts.textContent()).toContain('Runs onCPU (WebAssembly)');
  for (const name of ['Memory, at the most', 'Words', '12 steps', 'To pixels', 'All']) {
    expect(await facts.getByRole('rowheader', { name, exact: true }).isVisible(), name).toBe(true);
  }
  await page.getByText('Models', { exact: true }).click();
  expect(await page.getByLabel('Draw with').locator('option').allTextContents()).toEqual([
    expect.stringMatching(/^scenes, [\d.]+ MB$/), expect.stringMatching(/^scenes-q4, [\d.]+ MB$/), expect.stringMatching(/^stickers, [\d.]+ MB$/), expect.stringMatching(/^stickers-lt, [\d.]+ MB$/), 'another address',
  ]);
  const kept = page.locator('#models-kept li');
  await kept.first().waitFor();
  await kept.first().getByRole('button').click();
  await page.waitForFunction(() => document.querySelectorAll('#models-kept li').length === 0);
  await page.getByLabel('Draw with').selectOption('models/stickers/');
  await page.getByRole('button', { name: 'Open', exact: true }).click();
  await page.waitForURL(/model=models%2Fstickers%2F/);
  await page.waitForSelector('body[data-run=done]');
  expect(await page.textContent('#about')).toContain('Model: stickers-dense');
  await page.getByRole('textbox', { name: 'Prompt', exact: true }).fill('a purple umb');
  await page.getByRole('group', { name: 'Words that the model knows' }).getByRole('button', { name: 'umbrella', exact: true }).waitFor();
  await screenshot(page, 'stickers');
  await close();
});

test('a model of another host waits for a click that says whose it is, and how large', async () => {
  const { page, close } = await openPage(site.browser);
  const other = site.url.replace('127.0.0.1', 'localhost') === site.url ? site.url.replace('localhost', '127.0.0.1') : site.url.replace('127.0.0.1', 'localhost');
  const asked: string[] = [];
  await page.route(`${other}**`, async (route) => {
    asked.push(new URL(route.request().url()).pathname);
    const response = await route.fetch();
    await route.fulfill({ response, headers: { ...response.headers(), 'access-control-allow-origin': '*' } });
  });
  await page.goto(`${site.url}?device=cpu&model=${encodeURIComponent(`${other}models/scenes-q4/`)}`);
  await page.waitForFunction(() => document.querySelector('#weight')?.textContent?.includes('MB') === true);
  expect(await page.textContent('#weight')).toMatch(new RegExp(`^From ${new URL(other).host}, 2\\.\\d MB$`));
  expect(asked.filter((path) => path.endsWith('.safetensors'))).toEqual([]);
  await page.getByRole('button', { name: 'Load the model' }).click();
  await page.waitForSelector('body[data-model=ready]');
  expect(asked.filter((path) => path.endsWith('.safetensors')).length).toBeGreaterThan(0);
  await close();
});

for (const [name, options] of Object.entries({ light: {}, dark: { colorScheme: 'dark' }, narrow: { viewport: { width: 360, height: 740 } } } as const)) {
  test(`every state with a picture can be used by all: ${name}`, async () => {
    const { page, close } = await openPage(site.browser, options);
    await page.goto(`${site.url}?device=cpu`);
    await page.waitForSelector('body[data-run=done]');
    await page.getByRole('button', { name: 'Draw four' }).click();
    await page.waitForSelector('body[data-run=running]');
    expect(await complaints(page), 'drawing').toEqual([]);
    await page.waitForSelector('body[data-run=done]');
    for (const summary of ['Device and times', 'Models', 'What was learned', 'Negative prompt']) await page.locator('summary', { hasText: summary }).click();
    expect(await complaints(page), 'done').toEqual([]);
    expect(await small(page)).toEqual([]);
    await page.getByRole('button', { name: 'Show the routing' }).click();
    expect(await complaints(page), 'routing').toEqual([]);
    await page.getByRole('button', { name: 'Change a part' }).click();
    expect(await complaints(page), 'editor').toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth)).toBe(true);
    await screenshot(page, `all-${name}`);
    await close();
  });
}

test('a file that stands still is named after ten seconds, and comes in at the second try', async () => {
  const { page, close } = await openPage(site.browser);
  let calls = 0;
  await page.route('**/models/scenes-q4/transformer-00001*', async (route) => {
    calls += 1;
    if (calls > 1) await route.continue();
  });
  await page.goto(`${site.url}?device=cpu&draw=no`);
  await page.getByText(/^Nothing of transformer-00001.* came for ten seconds/).waitFor();
  await page.waitForSelector('body[data-model=ready]');
  expect(calls).toBe(2);
  await close();
});
