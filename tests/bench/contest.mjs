/** What peers.mjs and dawn.mjs share: who runs, in which order, and the table that comes out. */

import { readFileSync } from 'node:fs';

/** Of the largest value of diffusers' output: beyond it a time means nothing. */
const TOLERANCE = 1e-3;
/** Multiply-adds of a dense step beyond which one round, without burn's own kernels, has to do. */
const LONG = 1e10;
const CONTESTANTS = { dense: ['ours'], '30 %': ['ours', 0.3], '50 %': ['ours', 0.5], burn: ['burn'], onnxruntime: ['onnxruntime'] };
const OURS = ['dense', '30 %', '50 %'];

/**
 * Runs `arena`, what pages/contest.mjs makes or calls it in a page, on the network in the folder `net`: times, errors and rows. Who cannot start is
 * left out, with the reason. In rounds of one step each, so that what else the machine does meets all alike; the quickest step counts.
 */
export async function run(arena, net) {
  const shape = JSON.parse(readFileSync(`${net}/net.json`, 'utf8'));
  const flops = { dense: count(shape, 1), '30 %': count(shape, 0.7), '50 %': count(shape, 0.5) };
  const long = shape.batch * flops.dense > LONG;
  const found = {};
  for (const [name, [who, option]] of Object.entries(CONTESTANTS)) {
    if (long && who === 'burn') continue;
    const started = performance.now();
    try {
      const { error, kernels } = await arena.open(name, who, option);
      if (!(error <= TOLERANCE)) throw new Error(`${name}: ${error} of the largest value away from diffusers`);
      found[name] = { error, kernels, ms: Infinity, openMs: Math.round(performance.now() - started) };
      console.error(`${name}: opened in ${found[name].openMs} ms, error ${error.toExponential(1)}`);
    } catch (fault) {
      if (who !== 'onnxruntime') throw fault;
      found[name] = { failed: String(fault?.message ?? fault) };
      console.error(`${name}: did not start: ${found[name].failed}`);
    }
  }
  for (let round = 0; round < (long ? 1 : 2); round++) {
    for (const [name, best] of Object.entries(found)) {
      if (best.failed !== undefined) continue;
      const ms = Math.round(await arena.step(name));
      console.error(`${name}: ${ms} ms`);
      best.ms = Math.min(best.ms, ms);
    }
  }
  const { dense, burn, onnxruntime } = found;
  const rows = OURS.map((name) => ({
    name,
    ms: found[name].ms,
    ...(onnxruntime.failed === undefined ? { overOnnxruntime: hundredths(onnxruntime.ms / found[name].ms) } : {}),
    ...(burn === undefined ? {} : { overBurn: hundredths(burn.ms / found[name].ms) }),
    overDense: hundredths(dense.ms / found[name].ms),
    fewerFlops: hundredths(flops.dense / flops[name]),
  }));
  print(shape, rows, burn, onnxruntime);
  for (const line of dense.kernels) console.log(line);
  const gigaMacs = hundredths((shape.batch * flops.dense) / 1e9);
  return { shape, gigaMacs, error: dense.error, onnxruntimeWeb: onnxruntime, burn, rows, kernels: dense.kernels };
}

function print({ batch, tokens }, rows, burn, onnxruntime) {
  console.log(`\n${`a step, ${batch} x ${tokens} tokens`.padEnd(24)} ${['ms', 'over ORT', 'over burn', 'over dense', 'fewer FLOPs'].map((head) => head.padStart(12)).join(' ')}`);
  console.log(`${'onnxruntime-web'.padEnd(24)} ${onnxruntime.failed === undefined ? String(onnxruntime.ms).padStart(12) : onnxruntime.failed}`);
  if (burn !== undefined) console.log(`${"burn's own kernels".padEnd(24)} ${String(burn.ms).padStart(12)}`);
  for (const { name, ms, overOnnxruntime = '-', overBurn = '-', overDense, fewerFlops } of rows) {
    console.log(`${name.padEnd(24)} ${[ms, overOnnxruntime, overBurn, overDense, fewerFlops].map((value) => String(value).padStart(12)).join(' ')}`);
  }
}

/** Multiply-adds of an image as src/flops.rs counts them, where layers run that share of the tokens. */
function count({ layers, width, tokens, side, channels, out, caption }, share) {
  const k = Math.ceil(share * tokens);
  const pixels = side * side * (channels + out);
  return layers * (14 * k * width * width + 2 * k * (k + caption) * width) + pixels * width + 256 * width + 7 * width * width;
}

function hundredths(value) {
  return Math.round(value * 100) / 100;
}
