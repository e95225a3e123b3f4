/** What a person does in the editor: opens a file, points, drags, touches, draws, downloads; and what of the mask is seen. */

import { readFile } from 'node:fs/promises';
import type { CDPSession, Locator, Page } from 'playwright-core';
import { decodeTranslucent, encodePng } from '../../www/lib/png.ts';
import { pictureIsDone } from './harness.ts';

/** A PNG of some pattern. */
export async function photo(width: number, height: number): Promise<Buffer> {
  const data = new Uint8ClampedArray(4 * width * height).map((_, i) => (i % 4 === 3 ? 255 : (i * 7 + (i >> 9) * 3) % 251));
  return Buffer.from(await encodePng({ width, height, data }));
}

/** Opens a file as by the button, and waits for the editor. */
export async function openFile(page: Page, name: string, mimeType: string, buffer: Buffer): Promise<Locator> {
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', { name: 'Open an image' }).click()]);
  await chooser.setFiles({ name, mimeType, buffer });
  const mask = page.getByRole('application', { name: /^Paint what is to be drawn anew/ });
  await mask.waitFor();
  return mask;
}

/** A place of the picture's frame, by shares of its width and height. */
export async function placeOf(page: Page, x: number, y: number): Promise<{ x: number; y: number }> {
  const frame = page.locator('#frame');
  await frame.scrollIntoViewIfNeeded();
  const box = await frame.boundingBox();
  if (box === null) throw new Error('there is no picture');
  return { x: box.x + x * box.width, y: box.y + y * box.height };
}

/** Drags over the picture, by shares of its width and height. */
export async function drag(page: Page, ...shares: (readonly [number, number])[]): Promise<void> {
  for (const [i, [x, y]] of shares.entries()) {
    const place = await placeOf(page, x, y);
    await page.mouse.move(place.x, place.y, { steps: 5 });
    if (i === 0) await page.mouse.down();
  }
  await page.mouse.up();
}

/** The mask's rows, `1` where it is painted. */
export async function painted(page: Page): Promise<{ width: number; height: number; bits: string; count: number }> {
  return await page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>('#mask');
    const { width = 0, height = 0 } = canvas ?? {};
    const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    if (canvas !== null) copy?.drawImage(canvas, 0, 0);
    const data = copy?.getImageData(0, 0, width, height).data ?? new Uint8ClampedArray();
    const bits = Array.from({ length: data.length / 4 }, (_, i) => ((data[4 * i + 3] ?? 0) > 0 ? '1' : '0'));
    return { width, height, bits: bits.join(''), count: bits.filter((bit) => bit === '1').length };
  });
}

/** The fingers that are down. */
export async function touch(session: CDPSession, type: 'touchStart' | 'touchMove' | 'touchEnd', ...points: { x: number; y: number }[]): Promise<void> {
  await session.send('Input.dispatchTouchEvent', { type, touchPoints: points.map((point, id) => ({ ...point, id })) });
}

/** How near the picture is, as the page says. */
export const zoomOf = (page: Page): Promise<string | null> => page.getByRole('group', { name: 'Zoom' }).getByRole('status').textContent();

/** The picture that the page offers to download. */
export async function downloaded(page: Page): Promise<{ width: number; height: number; data: Uint8ClampedArray }> {
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download PNG' }).click()]);
  const pixels = await decodeTranslucent(new Uint8Array(await readFile(await download.path())));
  if (pixels === undefined) throw new Error('that is no PNG of 8 bits of RGBA');
  return pixels;
}

/** Draws what is painted anew, in two steps. */
export async function inpaint(page: Page, prompt: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Prompt', exact: true }).fill(prompt);
  await page.getByRole('slider', { name: /^Steps/ }).fill('2');
  await page.getByRole('button', { name: 'Inpaint' }).click();
  await page.waitForSelector('body[data-run=running], body[data-run=done]');
  await pictureIsDone(page);
}
