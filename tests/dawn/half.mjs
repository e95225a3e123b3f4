/**
 * What needs f16 in shaders, on Dawn in Node: `half.mjs MODULES`, forked by tests/browser/half.test.ts, to which it sends the errors of kernels that
 * hand on f16, and of a run of the scenes model with its blocks in f16.
 */

import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadBundle } from '../browser/pages/bundle.mjs';
import { openDawn, read } from './engine.mjs';

const SCENES = fileURLToPath(new URL('../../www/public/models/scenes/', import.meta.url));
/** All but attention with wide heads, which lavapipe takes minutes to compile. */
const KERNELS = ['direct', 'shared', 'half', 'thin', 'linear', 'norm', 'attention, double', 'attention padding, shared 1x4x33'];

const { engine, close } = await openDawn(resolve(process.argv[2]));
const kernels = {};
for (const kernel of KERNELS) kernels[kernel] = await engine.selfTest(`half handed, ${kernel}`);

const model = await loadBundle(engine, SCENES, read);
const { heads, headDim } = model.info().parts.transformer;
/** The latents after a few steps where blocks are known to be fastest with `chosen` between their kernels. */
async function draw(chosen, precision) {
  const known = { blocks: [{ class: { width: heads * headDim }, rows: 64, ways: [['f32', 2], ['f16', 1]], chosen }] };
  const timings = await model.tune(0, precision, JSON.stringify(known));
  const run = await model.generate({ prompt: 'a large red star on a blue background', seed: 7, steps: 4, guidance: 3 });
  while ((await run.step()) !== undefined);
  return { timings, latents: (await run.finish()).latents.data };
}
const full = await draw('f32', 'exact');
const half = await draw('f16', 'half');
const squares = full.latents.reduce((sum, value, i) => sum + (value - half.latents[i]) ** 2, 0) / full.latents.length;
/** This model's latents are pixels between -1 and 1. */
const decibels = 10 * Math.log10(4 / squares);
process.send({ kernels, timings: half.timings, decibels });
process.disconnect();
close();
