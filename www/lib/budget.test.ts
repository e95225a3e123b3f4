import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { budgetOf, usualRequest, type BudgetRequest, type Listed } from './budget.ts';
import type { Backend, Budget } from './contract.ts';
import cases from './testing/budgets.json' with { type: 'json' };

const root = new URL('../../', import.meta.url);
const manifestOf = (folder: string): Listed => JSON.parse(readFileSync(new URL(`${folder}/diffcr.json`, root), 'utf8')) as Listed;

test.each(cases as { folder: string; backend: Backend; request: BudgetRequest; budget: Budget }[])(
  '$folder on $backend at $request.width × $request.height is what the engine says',
  ({ folder, backend, request, budget }) => {
    expect(budgetOf(manifestOf(folder), request, backend)).toEqual(budget);
  },
);

test('the usual picture is guided and of the model’s own size', () => {
  expect(usualRequest(manifestOf('www/public/models/scenes-q4'))).toEqual({ width: 128, height: 128, batch: 2 });
});

test('a decoder is counted, in tiles where its maps are large', () => {
  const listed = manifestOf('www/public/models/scenes-q4');
  const vae = {
    inChannels: 3, outChannels: 3, latentChannels: 4, blockOutChannels: [128, 256, 512, 512], layersPerBlock: 2, normGroups: 32,
    midAttention: true, quantConv: true, postQuantConv: true, scalingFactor: 0.13, encoder: true,
  }; // prettier-ignore
  const latent: Listed = { ...listed, parts: { ...listed.parts, vae } };
  // 256 channels at 8² pixels a cell are 16384 values; 128 MiB hold 2048 cells, tiles of 40.
  expect(budgetOf(latent, { width: 1024, height: 1024, batch: 2 }, 'webgpu').maxBindingBytes).toBe(40 * 40 * 4 * 16384);
});
