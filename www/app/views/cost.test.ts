import { expect, test } from 'vitest';
import { costText } from './cost.ts';

test('operations are told beside those of the dense model, times once they are measured', () => {
  const cost = { flops: 34.71e9, denseFlops: 49.9e9, totalMs: 710, denseMs: undefined };
  expect(costText(cost)).toBe('34.7 of 49.9 GFLOPs, 70 % of the dense model');
  expect(costText({ ...cost, denseMs: 1000 })).toBe('34.7 of 49.9 GFLOPs, 70 % of the dense model; 710 ms, dense 1.0 s: 71 % of its time');
  expect(costText({ ...cost, flops: 49.9e9 })).toBe('49.9 GFLOPs: every layer ran every token');
});
