/** A part of a picture is painted over and drawn anew, as a person does it: by mouse, by keyboard, and with a file of their own. */

import { readFile, writeFile } from 'node:fs/promises';
import { deflateSync, inflateSync } from 'node:zlib';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { crc32 } from '../../www/lib/png.ts';
import { askFor, modelIs, openDemo, openPage, pictureIsDone, pixels, screenshot, useSite } from './harness.ts';

const site = useSite();

const REQUEST = { prompt: 'a large red circle on a blue background', seed: 3, steps: 8, guidance: 3 };

/** Drags over the picture; places are shares of its width and height. */
async function drag(page: Page, ...places: (readonly [number, number])[]): Promise<void> {
  const box = await page.locator('#mask').boundingBox();
  if (box === null) throw new Error('there is no mask to paint on');
  for (const [i, [x, y]] of places.entries()) {
    await page.mouse.move(box.x + x * box.width, box.y + y * box.height, { steps: 5 });
    if (i === 0) await page.mouse.down();
  }
  await page.mouse.up();
}

/** Which pixels of the mask are painted. */
async function painted(page: Page): Promise<boolean[]> {
  return await page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>('#mask');
    const copy = new OffscreenCanvas(canvas?.width ?? 0, canvas?.height ?? 0).getContext('2d', { willReadFrequently: true });
    if (canvas !== null) copy?.drawImage(canvas, 0, 0);
    const data = copy?.getImageData(0, 0, copy.canvas.width, copy.canvas.height).data ?? new Uint8ClampedArray();
    return Array.from({ length: data.length / 4 }, (_, i) => (data[4 * i + 3] ?? 0) > 0);
  });
}

const count = (mask: boolean[]): number => mask.filter(Boolean).length;

/** Pixels of `after` that are not those of `before`. */
function changed(before: ArrayLike<number>, after: ArrayLike<number>): boolean[] {
  return Array.from({ length: before.length / 4 }, (_, i) => [0, 1, 2, 3].some((c) => before[4 * i + c] !== after[4 * i + c]));
}

test('a part of the last picture is painted over and drawn anew over WebGPU; the rest stays to the bit', async () => {
  const { page, close } = await openPage(site.browser, { viewport: { width: 1280, height: 1080 } });
  await openDemo(page, site.url);
  expect(await page.isHidden('#retouch')).toBe(true);
  await askFor(page, REQUEST);
  await pictureIsDone(page);
  const before = (await pixels(page)).data;

  await page.click('#retouch');
  expect(await page.textContent('#generate')).toBe('Inpaint');
  expect(await page.isDisabled('#generate')).toBe(true); // nothing is painted yet
  await drag(page, [0.4, 0.4], [0.6, 0.4], [0.6, 0.6], [0.4, 0.6]);
  const first = await painted(page);
  expect(count(first)).toBeGreaterThan(300);
  await page.click('#eraser');
  await drag(page, [0.1, 0.4], [0.35, 0.4]);
  expect(count(await painted(page))).toBeLessThan(count(first));
  await page.click('#undo');
  expect(await painted(page)).toEqual(first);
  await page.click('#redo');
  const mask = await painted(page);
  expect(mask).not.toEqual(first);

  await page.fill('#prompt', 'a large yellow square on a blue background');
  await screenshot(page, 'inpaint-painting');
  await page.click('#generate');
  await page.waitForSelector('body[data-run=running]');
  await pictureIsDone(page);
  const after = (await pixels(page)).data;
  const differs = changed(before, after);
  expect(differs.filter((differs, i) => differs && !mask[i])).toEqual([]);
  expect(count(differs)).toBeGreaterThan(count(mask) / 2);
  expect(count(await painted(page))).toBe(0); // ready for the next change

  // Before and after, by keyboard.
  await page.focus('#compare');
  await page.keyboard.press('End');
  expect(await page.textContent('#compare-value')).toBe('before');
  const shown = await page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>('#before');
    return [...(canvas?.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? [])];
  });
  expect(shown).toEqual(before);
  await page.fill('#compare', '50');
  await screenshot(page, 'inpaint-compare');
  await page.fill('#compare', '0');

  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')]);
  const png = (await readFile(await download.path())).toString('latin1');
  expect(JSON.parse(/iTXtdiffcr\0\0\0\0\0(\{.*?\}\}?[^}]*\})/.exec(png)?.[1] ?? '{}')).toMatchObject({
    prompt: 'a large yellow square on a blue background',
    inpaint: { strength: 1 },
  });
  await page.click('#leave');
  expect(await page.textContent('#generate')).toBe('Generate');
  await close();
});

/** A PNG of RGBA bytes. */
function encode(width: number, height: number, data: readonly number[]): Buffer {
  const chunk = (type: string, body: Uint8Array): Buffer => {
    const out = Buffer.concat([Buffer.alloc(4), Buffer.from(type), body, Buffer.alloc(4)]);
    out.writeUInt32BE(body.length, 0);
    out.writeUInt32BE(crc32(out.subarray(4, -4)), out.length - 4);
    return out;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 6], 8);
  const lines = Buffer.concat(
    Array.from({ length: height }, (_, y) => Buffer.from([0, ...data.slice(4 * width * y, 4 * width * (y + 1))])),
  );
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(lines)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** The RGBA bytes of a PNG whose lines are not filtered. */
function decode(png: Buffer): number[] {
  const [width, at] = [png.readUInt32BE(16), png.indexOf('IDAT')];
  const lines = inflateSync(png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4)));
  return [...lines].filter((_, i) => i % (4 * width + 1) !== 0);
}

test("a translucent picture of one's own is changed by keyboard alone and comes back to the bit", async () => {
  const [width, height] = [96, 80];
  const own = Array.from({ length: 4 * width * height }, (_, i) => (i * 37 + Math.floor(i / 7) * 11) % 256);
  const file = join(mkdtempSync(join(tmpdir(), 'diffcr-')), 'own.png');
  await writeFile(file, encode(width, height, own));
  const { page, close } = await openPage(site.browser, { viewport: { width: 360, height: 740 }, hasTouch: true, colorScheme: 'dark' });
  await page.goto(`${site.url}?device=cpu&draw=no`);
  await modelIs(page, 'ready');
  await page.setInputFiles('#file', file);
  await page.waitForSelector('#tools:not([hidden])');
  expect(await page.textContent('#status')).toBe('A picture of yours');
  await page.focus('#mask');
  for (const key of [
    'ArrowLeft',
    ' ',
    'ArrowDown',
    ' ',
    ']',
    'e',
    'ArrowRight',
    'ArrowRight',
    ' ',
    'Control+z',
    'Control+Shift+z',
    'Control+z',
    'b',
  ])
    await page.keyboard.press(key);
  const mask = await painted(page);
  expect(count(mask)).toBeGreaterThan(100);
  expect(count(mask)).toBeLessThan((width * height) / 2);
  await page.fill('#steps', '4');
  await page.focus('#prompt');
  await page.keyboard.press('Control+Enter');
  await pictureIsDone(page);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
  await screenshot(page, 'inpaint-narrow-dark');
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')]);
  const after = decode(await readFile(await download.path()));
  const differs = changed(own, after);
  expect(differs.filter((differs, i) => differs && !mask[i])).toEqual([]);
  expect(count(differs)).toBeGreaterThan(100);
  expect(mask.every((painted, i) => !painted || after[4 * i + 3] === 255)).toBe(true);
  await close();
});

test('a change can be cancelled, and what is no image is refused', async () => {
  const { page, close } = await openPage(site.browser);
  await page.goto(`${site.url}?device=cpu&draw=no`);
  await modelIs(page, 'ready');
  await page.setInputFiles('#file', { name: 'no.png', mimeType: 'image/png', buffer: Buffer.from('no image') });
  await page.waitForSelector('#fault:not([hidden])');
  expect(await page.textContent('#fault-message')).toContain('image: no.png is no image');
  const own = Array.from({ length: 4 * 64 * 64 }, (_, i) => (i % 4 === 3 ? 255 : (i * 13) % 256));
  // Dropped on the sheet this time.
  await page.evaluate(
    async (bytes) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(bytes)], 'own.png', { type: 'image/png' }));
      document.querySelector('#sheet')?.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
    },
    [...encode(64, 64, own)],
  );
  await page.waitForSelector('#tools:not([hidden])');
  expect(await page.isHidden('#fault')).toBe(true);
  await page.click('#invert');
  expect(count(await painted(page))).toBe(64 * 64);
  await page.fill('#steps', '50');
  await page.click('#generate');
  await page.waitForFunction(() => document.querySelector('#status')?.textContent?.startsWith('Step '));
  await page.click('#cancel');
  await page.waitForSelector('body[data-run=opened]');
  expect((await pixels(page)).data).toEqual(own);
  expect(count(await painted(page))).toBe(64 * 64);
  await close();
});

declare global {
  /** Set by pages/api.js. */
  var diffcr: typeof import('../../www/lib/index.ts');
}

test('image files of every kind are read to the bit', async () => {
  const { page, close } = await openPage(site.browser);
  await page.goto(`${site.url}test/api.html`);
  await page.waitForSelector('body[data-api=ready]', { state: 'attached' });
  const folder = new URL('../fixtures/pictures/', import.meta.url);
  const expected = JSON.parse(readFileSync(new URL('pixels.json', folder), 'utf8')) as Record<string, number[]>;
  const opaque = (rgb: number[] = []): number[] =>
    Array.from({ length: (rgb.length / 3) * 4 }, (_, i) => (i % 4 === 3 ? 255 : (rgb[(i >> 2) * 3 + (i % 4)] ?? 0)));
  const read = (name: string): Promise<{ width: number; height: number; data: number[] } | string> =>
    page.evaluate(
      async (bytes) => {
        const image = await diffcr.readImage(new Blob([Uint8Array.from(bytes)])).catch((error: unknown) => String(error));
        return typeof image === 'string' ? image : { width: image.width, height: image.height, data: [...image.data] };
      },
      [...readFileSync(new URL(name, folder))],
    );
  const { rgba = [], palette = [] } = expected;
  // A little rounding is the browser's own where it turns linear light into sRGB, and where JPEG is decoded.
  const wanted: [string, number[], number][] = [
    ['interlaced_rgba.png', rgba, 0],
    ['alpha.webp', rgba, 0],
    ['exif6_rgba.png', rgba, 0],
    ['palette_trns.png', palette, 0],
    ['grey_alpha.png', rgba.map((_, i) => (i % 4 === 3 ? (rgba[i] ?? 0) : (rgba[i - (i % 4)] ?? 0))), 0],
    ['exif6.webp', opaque(expected['blocks']), 0],
    ['exif6.jpg', opaque(expected['blocks']), 4],
    ['gama.png', opaque(expected['gamma']), 1],
  ];
  for (const [name, bytes, error] of wanted) {
    const image = await read(name);
    if (typeof image === 'string') throw new Error(`${name}: ${image}`);
    expect(image.data.length, name).toBe(bytes.length);
    expect(Math.max(...image.data.map((byte, i) => Math.abs(byte - (bytes[i] ?? 0)))), name).toBeLessThanOrEqual(error);
  }
  expect(await read('rgb16.png')).toContain('a PNG of 16 bits a channel');
  await close();
});

test('pipe.inpaint takes images of every kind and names what is wrong', async () => {
  const { page, close } = await openPage(site.browser);
  await page.goto(`${site.url}test/api.html`);
  await page.waitForSelector('body[data-api=ready]', { state: 'attached' });
  const story = await page.evaluate(async () => {
    const pipe = await diffcr.loadModel('/models/scenes/', { device: 'cpu' });
    const canvas = new OffscreenCanvas(48, 40);
    const context = canvas.getContext('2d');
    if (context === null) throw new Error('no canvas');
    context.fillStyle = 'rgb(20, 120, 220)';
    context.fillRect(0, 0, 48, 40);
    const data = context.getImageData(0, 0, 48, 40);
    const mask = new ImageData(48, 40);
    for (let i = 0; i < 48 * 10; i += 1) mask.data.set([255, 255, 255, 255], 4 * i);
    const element = new Image();
    element.src = URL.createObjectURL(await canvas.convertToBlob());
    const html = document.createElement('canvas');
    html.width = 48;
    html.height = 40;
    html.getContext('2d')?.putImageData(data, 0, 0);
    const kinds = { data, canvas, html, element, blob: await canvas.convertToBlob(), bitmap: await createImageBitmap(data) };
    const ask = { prompt: 'a red circle on a white background', steps: 2, seed: 1, mask };
    const pictures: string[] = [];
    for (const image of Object.values(kinds)) pictures.push((await pipe.inpaint({ ...ask, image })).image.data.join());
    const caught = (options: object): Promise<string> =>
      pipe.inpaint({ ...ask, image: data, ...options }).then(
        () => 'done',
        (error: unknown) => (error instanceof diffcr.DiffCRError ? `${error.code} ${String(error.details['field'])}` : String(error)),
      );
    const wrong = {
      noMask: await caught({ mask: undefined }),
      noImage: await caught({ image: 'picture.png' }),
      empty: await caught({ mask: new ImageData(48, 40) }),
      other: await caught({ mask: new ImageData(48, 48) }),
      strength: await caught({ strength: Number.NaN }),
      feather: await caught({ feather: -1 }),
      large: await caught({ image: new OffscreenCanvas(10_000, 10_000) }),
      aware: await caught({ maskAware: { ring: -1 } }),
    };
    const fine = [
      await caught({ mask: data }), // too dark everywhere
      await caught({ image: new ImageData(1, 1), mask: new ImageData(Uint8ClampedArray.of(255, 255, 255, 255), 1, 1) }),
      await caught({ cropToMask: true, feather: 3, strength: 0.5, maskAware: false }),
      await caught({ maskAware: { ring: 1, refresh: 2, minSteps: 0 } }),
    ];
    const out = await pipe.inpaint({ ...ask, image: data });
    const kept = out.image.data.slice(4 * 48 * 10).every((byte, i) => byte === data.data[4 * 48 * 10 + i]);
    await pipe.dispose();
    return { same: new Set(pictures).size, wrong, fine, kept, size: [out.image.width, out.image.height] };
  });
  expect(story).toEqual({
    same: 1,
    wrong: {
      noMask: 'INVALID_INPUT mask',
      noImage: 'INVALID_INPUT image',
      empty: 'INVALID_INPUT mask',
      other: 'INVALID_INPUT mask',
      strength: 'INVALID_INPUT strength',
      feather: 'INVALID_INPUT feather',
      large: 'INVALID_INPUT image',
      aware: 'INVALID_INPUT maskAware.ring',
    },
    fine: ['INVALID_INPUT mask', 'done', 'done', 'done'],
    kept: true,
    size: [48, 40],
  });
  await close();
});
