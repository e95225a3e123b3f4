import { expect, test } from 'vitest';
import { surplus } from './history.ts';
import { Mask } from './mask.ts';

const png = (bytes: number): Blob => new Blob([new Uint8Array(bytes)]);

test('the oldest pictures go where there are too many, or too large ones with their sources', () => {
  const kept = [10, 20, 30, 40].map((bytes) => ({ png: png(bytes) }));
  expect(surplus(kept, 4, 100)).toEqual([]);
  expect(surplus(kept, 3, 100).map(({ png: { size } }) => size)).toEqual([10]);
  expect(surplus(kept, 4, 75).map(({ png: { size } }) => size)).toEqual([20, 10]);
  const edit = { source: png(60), mask: new Mask(2, 2).pack(), strength: 100, feather: 0, crop: false };
  // 5 of the picture, 60 of its source, 4 of its mask.
  expect([109, 108].map((bytes) => surplus([...kept, { png: png(5), edit }], 9, bytes).length)).toEqual([3, 4]);
  expect(surplus([{ png: png(500), edit }], 9, 100)).toEqual([]);
});
