import { expect, test } from 'vitest';
import { bytes, duration } from './format.ts';

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1500, '2 kB'],
  [10_750_000, '10.8 MB'],
  [2_500_000_000, '2.50 GB'],
])('%d bytes', (count, text) => {
  expect(bytes(count)).toBe(text);
});

test.each([
  [0.4, '0 ms'],
  [420, '420 ms'],
  [3140, '3.1 s'],
  [125_000, '2 min 5 s'],
  [119_800, '2 min 0 s'],
])('%d ms', (ms, text) => {
  expect(duration(ms)).toBe(text);
});
