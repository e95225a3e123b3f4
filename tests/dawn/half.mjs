/**
 * What needs f16 in shaders, on Dawn in Node: `half.mjs MODULES`, forked by tests/browser/half.test.ts, to which it sends the errors of kernels that
 * hand on f16, and of a run of the scenes model with its blocks in f16.
 */

import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadBundle } from '../browser/pages/bundle.mjs';
import { openDawn, read } from './engine.mjs';

const SCENES = fileURLToPath(new URL('../../www/public/models/scenes/', import.meta.url));
/** One of each kind: lavapipe takes seconds to compile a kernel, and minutes for attention with wide heads. */
const KERNELS = [
  'direct F16 70x192x132', 'direct Q4 9x384x66', 'shared F16 70x192x132', 'shared Q8 70x192x132', 'half F16', 'half Q8 70x192x132', 'half Q4 770x32x772',
  'thin', 'linear gated residual 2x9x24x36', 'linear into slots 2x9x24x36', 'norm', 'attention, double 2x3x17x17x8', 'attention, tile 1x4x33x1x32', 'attention padding, shared 1x4x33',
];

const { engine, close } = await openDawn(resolve(process.argv[2]));
const kernels = {};
for (const kernel of KERNELS) kernels[kernel] = await engine.selfTest(`half handed, ${kernel}`);

const model = await loadBundle(engine, SCENES, read);
const { width: side } = model.info();
const { heads, headDim } = model.info().parts.transformer;
const prompt = { prompt: 'a large red star on a blue background', seed: 7, guidance: 3 };
/** A grey square, of which the middle is drawn anew: some steps run its tokens alone, attending to cached keys and values of others. */
const hole = { image: square(() => 128), mask: square((x, y) => (Math.max(Math.abs(x), Math.abs(y)) < side / 6 ? 255 : 0)) };

/** Latents where blocks are known to be fastest with `chosen` between their kernels. */
async function draw(chosen, precision) {
  const known = { blocks: [{ key: { width: heads * headDim }, rows: 64, variants: [['f32', 2], ['f16', 1]], chosen }] };
  const timings = await model.tune(0, precision, JSON.stringify(known));
  const drawn = await latents(await model.generate({ ...prompt, steps: 4 }));
  const inpainted = await latents(await model.generate({ ...prompt, steps: 6 }, hole));
  return { timings, drawn, inpainted };
}

async function latents(run) {
  while ((await run.step()) !== undefined);
  return (await run.finish()).latents.data;
}

/** Of what `value` says of a place, counted from the middle. */
function square(value) {
  const data = Uint8ClampedArray.from({ length: 4 * side * side }, (_, i) => (i % 4 === 3 ? 255 : value(((i >> 2) % side) - side / 2, Math.floor((i >> 2) / side) - side / 2)));
  return { width: side, height: side, data };
}

/** This model's latents are pixels between -1 and 1. */
function decibels(a, b) {
  return 10 * Math.log10(4 / (a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0) / a.length));
}

const full = await draw('f32', 'exact');
const half = await draw('f16', 'half');
process.send({ kernels, timings: half.timings, drawn: decibels(full.drawn, half.drawn), inpainted: decibels(full.inpainted, half.inpainted) });
process.disconnect();
close();
