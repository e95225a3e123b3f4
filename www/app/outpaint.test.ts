import { expect, test } from 'vitest';
import { NO_MARGINS } from './mask.ts';
import { extended, oneMore } from './outpaint.ts';

test('the old picture keeps its bytes, and the new part continues its edge', () => {
  const image = { width: 2, height: 2, data: Uint8ClampedArray.from({ length: 16 }, (_, i) => i) };
  const out = extended(image, { left: 1, top: 1, right: 2, bottom: 1 });
  expect([out.width, out.height]).toEqual([5, 4]);
  /** The pixels by their first byte. */
  const rows = Array.from({ length: 4 }, (_, y) => Array.from({ length: 5 }, (_, x) => out.data[4 * (5 * y + x)]));
  expect(rows).toEqual([
    [0, 0, 4, 4, 4],
    [0, 0, 4, 4, 4],
    [8, 8, 12, 12, 12],
    [8, 8, 12, 12, 12],
  ]);
  expect([...out.data.subarray(4 * 6, 4 * 8)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});

test('nothing added is the same picture', () => {
  const image = { width: 3, height: 1, data: Uint8ClampedArray.from({ length: 12 }, (_, i) => 7 * i) };
  expect(extended(image, { left: 0, top: 0, right: 0, bottom: 0 })).toEqual(image);
});

test('a press adds a quarter to a side, until the picture is too large', () => {
  expect(oneMore('left', { width: 128, height: 64, scale: 1 })).toEqual({ ...NO_MARGINS, left: 32 });
  expect(oneMore('bottom', { width: 128, height: 1, scale: 4 })).toEqual({ ...NO_MARGINS, bottom: 1 });
  expect(oneMore('right', { width: 3276, height: 2048, scale: 1 })).toEqual({ ...NO_MARGINS, right: 819 });
  expect(oneMore('right', { width: 3300, height: 2048, scale: 1 })).toBe(NO_MARGINS);
  expect(oneMore('top', { width: 2000, height: 2000, scale: 6 })).toBe(NO_MARGINS); // 12,000 x 15,000 pixels
});
