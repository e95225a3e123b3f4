/** The mask editor and photos as a person meets them: fingers, pen, wheel and keys, large photos, enlarged pictures, and edits that come back. */

import { expect, test } from 'vitest';
import { encodePng } from '../../www/lib/png.ts';
import { downloaded, drag, inpaint, openFile, painted, photo, placeOf, touch, zoomOf } from './editor.ts';
import { modelIs, openPage, screenshot, useSite, type Watched } from './harness.ts';

const site = useSite();

/** A visitor who fetches no model unasked. */
async function visit(options: Parameters<typeof openPage>[1] = {}): Promise<Watched> {
  const watched = await openPage(site.browser, options);
  watched.page.setDefaultTimeout(60_000);
  await watched.page.goto(`${site.url}?device=cpu&draw=no`);
  return watched;
}

test('two fingers zoom and move the picture, one paints where it touches', async () => {
  const { page, close } = await visit({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  const mask = await openFile(page, 'own.png', 'image/png', await photo(96, 96));
  await mask.scrollIntoViewIfNeeded();
  const session = await page.context().newCDPSession(page);
  const [left, right] = [await placeOf(page, 0.4, 0.5), await placeOf(page, 0.6, 0.5)];

  await touch(session, 'touchStart', left);
  await touch(session, 'touchStart', left, right);
  for (const share of [0.05, 0.1, 0.2]) {
    const [a, b] = [await placeOf(page, 0.4 - share, 0.5), await placeOf(page, 0.6 + share, 0.5)];
    await touch(session, 'touchMove', a, b);
  }
  await touch(session, 'touchEnd');
  expect(await zoomOf(page)).toBe('300 %');
  expect((await painted(page)).count).toBe(0); // the first finger's dab went with the second
  expect(await page.getByRole('button', { name: 'Undo' }).isDisabled()).toBe(true);

  await page.getByRole('slider', { name: /^Brush size/ }).fill('10');
  await touch(session, 'touchStart', await placeOf(page, 0.5, 0.5));
  await touch(session, 'touchEnd');
  const dab = await painted(page);
  const at = [...dab.bits].flatMap((bit, i) => (bit === '1' ? [[i % dab.width, Math.floor(i / dab.width)]] : []));
  for (const [x = 0, y = 0] of at) expect(Math.hypot(x - 47.5, y - 47.5)).toBeLessThan(7);
  expect(at.length).toBeGreaterThan(40);
  await screenshot(page, 'editor-zoomed-narrow');

  await page.getByRole('button', { name: 'Fit' }).click();
  expect(await zoomOf(page)).toBe('100 %');
  await close();
});

test("wheel, buttons and keys zoom; the wheel and the middle button move; the keyboard's brush stays in view", async () => {
  const { page, close } = await visit();
  await openFile(page, 'own.png', 'image/png', await photo(96, 96));
  const { x, y } = await placeOf(page, 0.25, 0.25);
  await page.mouse.move(x, y);
  await page.keyboard.down('Control');
  for (const zoom of ['138 %', '190 %', '261 %']) {
    await page.mouse.wheel(0, -100);
    await expect.poll(() => zoomOf(page)).toBe(zoom);
  }
  await page.keyboard.up('Control');
  // What was under the pointer still is.
  await page.getByRole('slider', { name: /^Brush size/ }).fill('4');
  const again = await placeOf(page, 0.25, 0.25);
  await page.mouse.click(again.x, again.y);
  const { bits, width } = await painted(page);
  expect([bits.indexOf('1') % width, Math.floor(bits.indexOf('1') / width)].every((place) => Math.abs(place - 24) < 4)).toBe(true);

  const corner = (): Promise<number> => page.locator('#stage').evaluate((stage) => new DOMMatrix(getComputedStyle(stage).transform).e);
  const before = await corner();
  await page.mouse.wheel(60, 0);
  await expect.poll(corner).toBe(before - 60);
  await page.mouse.down({ button: 'middle' });
  await page.mouse.move(again.x + 25, again.y);
  await page.mouse.up({ button: 'middle' });
  expect(await corner()).toBe(before - 35);
  expect((await painted(page)).bits).toBe(bits);

  await page.keyboard.press('0');
  expect(await zoomOf(page)).toBe('100 %');
  await page.getByRole('button', { name: 'Zoom in' }).click();
  await page.keyboard.press('+');
  expect(await zoomOf(page)).toBe('400 %');
  await page.keyboard.press('-');
  expect(await zoomOf(page)).toBe('200 %');
  await page.getByRole('button', { name: 'Zoom out' }).press('Tab');
  await page.getByRole('application').focus();
  for (let i = 0; i < 60; i += 1) await page.keyboard.press('ArrowRight');
  const [ring, frame] = [await page.locator('#ring').boundingBox(), await page.locator('#frame').boundingBox()];
  const middle = (ring?.x ?? 0) + (ring?.width ?? 0) / 2;
  expect(middle).toBeGreaterThan(frame?.x ?? Infinity);
  expect(middle).toBeLessThanOrEqual((frame?.x ?? 0) + (frame?.width ?? 0));
  await close();
});

test('a pen paints as wide as it is pressed, and the ring shows the brush and its soft edge', async () => {
  const { page, close } = await visit();
  await openFile(page, 'own.png', 'image/png', await photo(200, 200));
  await page.locator('#frame').click({ trial: true }); // it has come to rest
  const session = await page.context().newCDPSession(page);
  const dab = async (force: number, share: number): Promise<number> => {
    const before = (await painted(page)).count;
    const place = { ...(await placeOf(page, share, 0.5)), button: 'left', pointerType: 'pen', force, clickCount: 1 } as const;
    await session.send('Input.dispatchMouseEvent', { ...place, type: 'mousePressed' });
    await session.send('Input.dispatchMouseEvent', { ...place, type: 'mouseReleased' });
    await expect.poll(async () => (await painted(page)).count).toBeGreaterThan(before);
    return (await painted(page)).count - before;
  };
  const [full, half] = [await dab(1, 0.25), await dab(0.5, 0.75)];
  expect(full).toBeGreaterThan(1200); // a circle 40 pixels wide
  expect(half / full).toBeGreaterThan(0.2);
  expect(half / full).toBeLessThan(0.3);

  /** Widths of the hard ring and of the soft one around it, in pixels of the page. */
  const rings = (): Promise<[number, number]> =>
    page.locator('#ring').evaluate((ring) => [ring.getBoundingClientRect().width, Number.parseFloat(getComputedStyle(ring, '::after').width)]);
  const frame = (await page.locator('#frame').boundingBox())?.width ?? 0;
  const hover = await placeOf(page, 0.5, 0.5);
  await page.mouse.move(hover.x, hover.y);
  expect((await rings())[0]).toBeCloseTo(0.2 * frame, 0);
  await page.getByRole('slider', { name: /^Soft edge/ }).fill('5');
  expect(await page.locator('#ring').isVisible()).toBe(true); // moving a slider shows the brush
  const [hard, soft] = await rings();
  expect([hard / frame, soft / frame].map((share) => share.toFixed(2))).toEqual(['0.20', '0.30']);
  await screenshot(page, 'editor-ring');
  await page.getByRole('slider', { name: /^Brush size/ }).fill('40');
  expect((await rings())[0]).toBeCloseTo(0.4 * frame, 0);
  await page.locator('#ring').waitFor({ state: 'hidden' });
  await close();
});

test('on a photo of 4,000 x 4,000 pixels a move writes little more than what the brush newly covers, and the picture is not painted anew', async () => {
  const { page, close } = await visit();
  await openFile(page, 'large.png', 'image/png', await photo(4000, 4000));
  await page.getByRole('slider', { name: /^Brush size/ }).fill('60'); // the widest
  await page.evaluate(() => {
    /** Pixels written by the first dab, and by every move. */
    const written: number[] = [];
    Object.assign(globalThis, { written });
    const { putImageData } = CanvasRenderingContext2D.prototype;
    Object.assign(CanvasRenderingContext2D.prototype, {
      putImageData(this: CanvasRenderingContext2D, ...given: [ImageData, number, number]): void {
        written.push((written.pop() ?? 0) + given[0].width * given[0].height);
        Reflect.apply(putImageData, this, given);
      },
    });
    const [mask, frame] = [document.querySelector('#mask'), document.querySelector('#frame')];
    for (const type of ['pointerdown', 'pointermove']) {
      mask?.addEventListener(type, () => void (written.push(0), performance.mark(type)), { capture: true });
      frame?.addEventListener(type, () => performance.measure(`${type} done`, type));
    }
  });
  const { x, y } = await placeOf(page, 0.4, 0.4);
  await page.mouse.move(x, y);
  await page.mouse.down();
  for (let i = 1; i <= 30; i += 1) await page.mouse.move(x + 3 * i, y + i);
  await page.mouse.up();
  const { written, times } = await page.evaluate(() => ({
    written: (globalThis as unknown as { written: number[] }).written.filter((pixels) => pixels > 0),
    times: performance.getEntriesByName('pointermove done').map(({ duration }) => duration),
  }));
  const [first = 0, ...moves] = written;
  times.sort((a, b) => a - b);
  console.log(`a move of the widest brush: ${times[times.length >> 1]?.toFixed(1)} ms in the middle, ${times.at(-1)?.toFixed(1)} ms at the most; ${Math.max(...moves)} pixels at the most`);
  const { width, count } = await painted(page);
  expect(width).toBe(2000);
  expect(count).toBeGreaterThan(1_000_000);
  expect(first).toBeLessThanOrEqual(1201 * 1201);
  expect(moves.length).toBeGreaterThan(20);
  // Of 16,000,000 pixels: a move adds some 12,000, in bands of 32 rows.
  expect(Math.max(...moves)).toBeLessThan(100_000);
  await close();
});

test('keys work wherever nothing is typed, and leaving leads back to the control that opened the editor', async () => {
  const { page, close } = await visit();
  const focused = (): Promise<string | null | undefined> => page.evaluate(() => document.activeElement?.textContent);
  await openFile(page, 'own.png', 'image/png', await photo(64, 64));
  const prompt = page.getByRole('textbox', { name: 'Prompt', exact: true });
  await page.getByRole('application').press('Space');
  const { bits } = await painted(page);
  expect(bits).toContain('1');
  await page.getByRole('slider', { name: /^Steps/ }).focus();
  await page.keyboard.press('e');
  expect(await page.getByRole('button', { name: 'Eraser' }).getAttribute('aria-pressed')).toBe('true');
  await page.keyboard.press('Control+z');
  expect((await painted(page)).count).toBe(0);
  await page.keyboard.press('Control+Shift+z');
  expect((await painted(page)).bits).toBe(bits);
  await prompt.fill('a bee');
  await prompt.press('b');
  await prompt.press('Escape');
  expect(await prompt.inputValue()).toBe('a beeb');
  expect(await page.getByRole('button', { name: 'Eraser' }).getAttribute('aria-pressed')).toBe('true');

  await page.getByRole('button', { name: 'Eraser' }).press('Escape');
  expect(await focused()).toBe('Open an image'); // it was opened by that
  const change = page.getByRole('button', { name: 'Change a part' });
  await change.focus();
  await page.keyboard.press('Enter');
  expect(await page.evaluate(() => document.activeElement?.getAttribute('role'))).toBe('application');
  expect((await painted(page)).bits).toBe(bits); // what was painted is still there
  await page.keyboard.press('Escape');
  expect(await focused()).toBe('Change a part');
  await close();
});

test('on a phone the picture and the button that draws stay on the screen beside every tool', async () => {
  const { page, close } = await visit({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  await openFile(page, 'own.png', 'image/png', await photo(64, 64));
  await page.getByText('Enlarge the picture').click();
  const [draw, picture] = [page.getByRole('button', { name: 'Inpaint' }), page.getByRole('img', { name: 'Your picture' })];
  const tools = await page.getByRole('group', { name: 'Mask' }).locator('button:enabled, input').all();
  expect(tools.length).toBeGreaterThan(15);
  for (const tool of tools) {
    await tool.focus();
    const name = await tool.evaluate((element) => element.id);
    const [top, own, bottom] = [await picture.boundingBox(), await tool.boundingBox(), await draw.boundingBox()];
    const end = (box: typeof own): number => (box?.y ?? 999) + (box?.height ?? 0);
    expect(top?.y, name).toBeGreaterThanOrEqual(0);
    expect(end(top), name).toBeLessThanOrEqual(own?.y ?? 0);
    expect(end(own), name).toBeLessThanOrEqual(bottom?.y ?? 0);
    expect(end(bottom), name).toBeLessThanOrEqual(740);
  }
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
  await screenshot(page, 'editor-tools-narrow');
  await close();
});

test('a file that cannot be read is named, and a drawing becomes a picture', async () => {
  const { page, close } = await visit();
  const give = async (name: string, mimeType: string, text: string): Promise<void> => {
    const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', { name: 'Open an image' }).click()]);
    await chooser.setFiles({ name, mimeType, buffer: Buffer.from(text) });
  };
  await give('IMG_1.HEIC', 'image/heic', '\0\0\0\x20ftypheic');
  await page.getByText('IMG_1.HEIC is HEIC, and this browser cannot read it: save it as JPEG or PNG').waitFor();
  await give('x.avif', 'image/avif', '\0\0\0\x20ftypavif');
  await page.getByText('x.avif is AVIF, and this browser cannot read it: save it as JPEG or PNG').waitFor();
  await give('leaf.svg', 'image/svg+xml', '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 10" width="20" height="10"><rect width="20" height="10" fill="#0a0"/></svg>');
  await page.getByRole('img', { name: 'Your picture' }).waitFor();
  const size = await page.locator('#picture').evaluate((canvas: HTMLCanvasElement) => [canvas.width, canvas.height]);
  expect(size).toEqual([1024, 512]);
  await close();
});

test('a photo larger than the engine takes keeps its size, and every byte outside of mask and soft edge', async () => {
  const [width, height] = [4400, 4000];
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < data.length; i += 4) data.set([(i >> 8) % 256, (i >> 14) % 256, (i >> 5) % 256, 255], i);
  const { page, close } = await visit();
  await openFile(page, 'photo.png', 'image/png', Buffer.from(await encodePng({ width, height, data })));
  expect(await page.locator('#feather-value').textContent()).toBe('1 %');
  await drag(page, [0.4, 0.4], [0.5, 0.5]);
  const mask = await painted(page);
  const scale = Math.ceil(width / mask.width);
  await page.getByRole('slider', { name: /^Brush size/ }).press('Escape');
  await page.getByRole('button', { name: 'Change a part' }).click();
  expect((await painted(page)).bits).toBe(mask.bits);
  await inpaint(page, 'a large red circle on a blue background');
  await screenshot(page, 'editor-photo');
  const kept = page.getByRole('button', { name: /^Open: a large red circle/ }).locator('img');
  expect(await kept.evaluate((image: HTMLImageElement) => image.decode().then(() => [image.naturalWidth, image.naturalHeight]))).toEqual([200, 182]);
  const after = await downloaded(page);
  expect([after.width, after.height]).toEqual([width, height]);
  /** Rows and columns of the mask's box. */
  const rows = [...Array(mask.height).keys()].filter((y) => mask.bits.slice(y * mask.width, (y + 1) * mask.width).includes('1'));
  const columns = rows.flatMap((y) => [mask.bits.indexOf('1', y * mask.width) - y * mask.width, mask.bits.lastIndexOf('1', (y + 1) * mask.width - 1) - y * mask.width]);
  const reach = 44 + scale; // one percent of 4,400, and a pixel of the mask
  const [left, right] = [Math.min(...columns) * scale - reach, (Math.max(...columns) + 1) * scale + reach];
  const [top, bottom] = [(rows[0] ?? 0) * scale - reach, ((rows.at(-1) ?? 0) + 1) * scale + reach];
  let [outside, inside, faded] = [0, 0, 0];
  for (let y = 0, i = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, i += 4) {
      const differs = data[i] !== after.data[i] || data[i + 1] !== after.data[i + 1] || data[i + 2] !== after.data[i + 2] || data[i + 3] !== after.data[i + 3];
      if (!differs) continue;
      if (x < left || x >= right || y < top || y >= bottom) outside += 1;
      else if (mask.bits[Math.floor(y / scale) * mask.width + Math.floor(x / scale)] === '1') inside += 1;
      else faded += 1;
    }
  }
  expect(outside).toBe(0);
  expect(inside).toBeGreaterThan(0.9 * mask.count * scale * scale);
  expect(faded).toBeGreaterThan(10_000);
  expect((await painted(page)).count).toBe(0);
  await page.getByRole('button', { name: 'Undo' }).click();
  expect((await painted(page)).bits).toBe(mask.bits); // for another try
  await close();
});

test('a picture is enlarged on any side: what is new is masked, drawn, and the old part stays to the byte', async () => {
  const { page, close } = await visit();
  const own = new Uint8ClampedArray(4 * 64 * 48).map((_, i) => (i % 4 === 3 ? 255 : (i * 7) % 251));
  await openFile(page, 'own.png', 'image/png', Buffer.from(await encodePng({ width: 64, height: 48, data: own })));
  await modelIs(page, 'ready');
  await page.getByText('Enlarge the picture').click();
  await page.getByRole('button', { name: 'Right →' }).click();
  await page.getByRole('button', { name: '↑ Top' }).click();
  const mask = await painted(page);
  expect([mask.width, mask.height]).toEqual([80, 60]);
  expect(mask.bits.slice(0, 80)).toBe('1'.repeat(80));
  expect(mask.bits.slice(80 * 30, 80 * 31)).toBe('0'.repeat(63) + '1'.repeat(17)); // the old edge is drawn anew too
  expect(await page.locator('#picture').evaluate((canvas: HTMLCanvasElement) => {
    const data = canvas.getContext('2d')?.getImageData(0, 0, 80, 60).data ?? [];
    const at = (x: number, y: number): number => data[4 * (80 * y + x)] ?? -1;
    return [at(79, 40) === at(63, 40), at(20, 0) === at(20, 12), at(10, 20) === at(9, 20)];
  })).toEqual([true, true, false]);
  await screenshot(page, 'editor-enlarged');

  await page.keyboard.press('Control+z');
  expect((await painted(page)).height).toBe(48);
  await page.keyboard.press('Escape');
  expect(await page.locator('#picture').evaluate((canvas: HTMLCanvasElement) => canvas.width)).toBe(64);
  await page.getByRole('button', { name: 'Change a part' }).click();
  expect((await painted(page)).width).toBe(80);
  await page.keyboard.press('Control+Shift+z');
  expect((await painted(page)).height).toBe(60);

  await inpaint(page, 'a large red circle on a blue background');
  const after = await downloaded(page);
  expect([after.width, after.height]).toEqual([80, 60]);
  for (let y = 1; y < 48; y += 1) {
    const [from, to] = [4 * 64 * y, 4 * 80 * (y + 12)];
    expect(after.data.subarray(to, to + 4 * 63)).toEqual(own.subarray(from, from + 4 * 63));
  }
  expect((await painted(page)).count).toBe(0);
  await close();
});

test('an edit that is reopened from the history has its source, its mask and its settings', async () => {
  const { page, close } = await visit();
  const own = new Uint8ClampedArray(4 * 96 * 96).map((_, i) => (i % 4 === 3 ? 255 : (i * 5) % 241));
  await openFile(page, 'own.png', 'image/png', Buffer.from(await encodePng({ width: 96, height: 96, data: own })));
  await modelIs(page, 'ready');
  await drag(page, [0.3, 0.3], [0.6, 0.5]);
  await page.getByText('Enlarge the picture').click();
  await page.getByRole('button', { name: '← Left' }).click();
  await page.getByRole('slider', { name: /^Strength/ }).fill('80');
  await page.getByRole('slider', { name: /^Soft edge/ }).fill('2.5');
  await page.getByRole('checkbox', { name: /^Closer/ }).check();
  const mask = await painted(page);
  await inpaint(page, 'a green star on a white background');
  await page.getByRole('listitem').first().waitFor();

  await page.reload();
  await page.getByRole('button', { name: /^Open: a green star on a white background/ }).click();
  await page.getByRole('img', { name: 'Picture of "a green star on a white background"' }).waitFor();
  await page.getByRole('textbox', { name: 'Prompt', exact: true }).fill('something else');
  await page.getByRole('button', { name: 'Reopen the edit' }).click();
  await page.getByRole('application').waitFor();
  expect(await painted(page)).toEqual(mask);
  expect(await page.getByRole('textbox', { name: 'Prompt', exact: true }).inputValue()).toBe('a green star on a white background');
  expect(await page.getByRole('slider', { name: /^Strength/ }).inputValue()).toBe('80');
  expect(await page.getByRole('slider', { name: /^Soft edge/ }).inputValue()).toBe('2.5');
  expect(await page.getByRole('checkbox', { name: /^Closer/ }).isChecked()).toBe(true);
  const shown = await page.locator('#picture').evaluate((canvas: HTMLCanvasElement) => [...(canvas.getContext('2d')?.getImageData(24, 0, 96, 96).data ?? [])]);
  expect(shown).toEqual([...own]);
  await screenshot(page, 'editor-reopened');
  await page.keyboard.press('Escape');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Reopen the edit');
  await close();
});
