/** What peers.mjs and dawn.mjs share: who runs, in which order, and the table that comes out. */

/** Of the largest value of diffusers' output: beyond it a time means nothing. */
const TOLERANCE = 1e-3;
/** Rounds of one step each, so that what else the machine does meets all alike; the quickest step counts. */
const ROUNDS = 2;
const CONTESTANTS = { dense: ['ours'], '30 %': ['ours', 0.3], '50 %': ['ours', 0.5], onnxruntime: ['onnxruntime'] };
const OURS = ['dense', '30 %', '50 %'];

/** Runs `arena`, what pages/contest.mjs makes or calls it in a page: times, errors and rows. Who cannot start is left out, with the reason. */
export async function run(arena) {
  const found = {};
  for (const [name, [who, option]] of Object.entries(CONTESTANTS)) {
    const started = performance.now();
    try {
      const error = await arena.open(name, who, option);
      if (!(error <= TOLERANCE)) throw new Error(`${name}: ${error} of the largest value away from diffusers`);
      found[name] = { error, ms: Infinity, openMs: Math.round(performance.now() - started) };
      console.error(`${name}: opened in ${found[name].openMs} ms, error ${error.toExponential(1)}`);
    } catch (fault) {
      if (who === 'ours') throw fault;
      found[name] = { failed: String(fault?.message ?? fault) };
      console.error(`${name}: did not start: ${found[name].failed}`);
    }
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, best] of Object.entries(found)) {
      if (best.failed !== undefined) continue;
      const ms = Math.round(await arena.step(name));
      console.error(`${name}: ${ms} ms`);
      best.ms = Math.min(best.ms, ms);
    }
  }
  const { dense, onnxruntime } = found;
  const rows = OURS.map((name) => ({
    name,
    ms: found[name].ms,
    ...(onnxruntime.failed === undefined ? { overOnnxruntime: hundredths(onnxruntime.ms / found[name].ms) } : {}),
    overDense: hundredths(dense.ms / found[name].ms),
    fewerFlops: hundredths(FLOPS.dense / FLOPS[name]),
  }));
  print(rows, onnxruntime);
  return { error: dense.error, onnxruntimeWeb: onnxruntime, rows };
}

function print(rows, onnxruntime) {
  console.log(`\n${'a step, batch 2'.padEnd(24)} ${['ms', 'over ORT', 'over dense', 'fewer FLOPs'].map((head) => head.padStart(12)).join(' ')}`);
  console.log(`${'onnxruntime-web'.padEnd(24)} ${onnxruntime.failed === undefined ? String(onnxruntime.ms).padStart(12) : onnxruntime.failed}`);
  for (const { name, ms, overOnnxruntime = '-', overDense, fewerFlops } of rows) {
    console.log(`${name.padEnd(24)} ${[ms, overOnnxruntime, overDense, fewerFlops].map((value) => String(value).padStart(12)).join(' ')}`);
  }
}

const NET = { tokens: 256, width: 192, layers: 12, caption: 20, patch: 192 };
const FLOPS = { dense: flops(NET.tokens), '30 %': flops(Math.ceil(0.7 * NET.tokens)), '50 %': flops(0.5 * NET.tokens) };

/** Multiply-adds of an image as src/flops.rs counts them, where layers run k tokens. */
function flops(k) {
  const { tokens, width, layers, caption, patch } = NET;
  return layers * (14 * k * width * width + 2 * k * (k + caption) * width) + 2 * tokens * width * patch + 256 * width + 7 * width * width;
}

function hundredths(value) {
  return Math.round(value * 100) / 100;
}
