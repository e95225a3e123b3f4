import { expect, test } from 'vitest';
import { layerMask, layersRun, meanKeep, skipped } from './routing.ts';

const record = {
  grid: [1, 4] as const,
  steps: [
    { timestep: 999, layers: [[0, 3], null, [0], [0, 1]] },
    { timestep: 500, layers: [] },
  ],
};

test('the share of the layers that ran each token', () => {
  expect([...(layersRun(record, 1) ?? [])]).toEqual([1, 0.5, 0.25, 0.5]);
  expect(layersRun(record, 2)).toBeUndefined();
  expect(layersRun(record, 9)).toBeUndefined();
});

test('the share of the tokens that were skipped', () => {
  expect(skipped(record)).toBeCloseTo(1 - (2 + 4 + 1 + 2) / 16);
  expect(skipped({ grid: [1, 4], steps: [] })).toBe(0);
});

test('the mean of a table', () => {
  expect(
    meanKeep({
      name: 'x',
      keep: [
        [1, 0.5],
        [0.7, 0.6],
      ],
      denseSteps: 0,
    }),
  ).toBeCloseTo(0.7);
});

test('the tokens of one layer', () => {
  expect([...(layerMask(record, 1, 1) ?? [])]).toEqual([1, 0, 0, 1]);
  expect([...(layerMask(record, 1, 2) ?? [])]).toEqual([1, 1, 1, 1]);
  expect(layerMask(record, 2, 1)).toBeUndefined();
});
