import { expect, test } from 'vitest';
import { addition, extended } from './outpaint.ts';

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

test('nothing added is the same picture; a press adds a quarter', () => {
  const image = { width: 3, height: 1, data: Uint8ClampedArray.from({ length: 12 }, (_, i) => 7 * i) };
  expect(extended(image, { left: 0, top: 0, right: 0, bottom: 0 })).toEqual(image);
  expect([addition(128), addition(1)]).toEqual([32, 1]);
});
