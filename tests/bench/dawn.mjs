/**
 * The browser's module on a second WebGPU: Dawn, the engine inside Chrome, in Node on Mesa's lavapipe. Every kernel against plain tensor
 * operations, then the steps that peers.mjs times, beside onnxruntime-web where it starts. `node dawn.mjs NET MODULES` with what
 * make_net.py wrote (and the bundles made of it) and a node_modules with `webgpu` and `onnxruntime-web`. Writes the section `dawn`.
 */

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { loadBundle } from '../browser/pages/bundle.mjs';
import { run } from './contest.mjs';
import { contest } from './pages/contest.mjs';
import { record, versionOf } from './results.mjs';

const [net, modules] = process.argv.slice(2).map((path) => resolve(path));
const engineAt = fileURLToPath(new URL('../../build/wasm/', import.meta.url));
const importFrom = (path) => import(pathToFileURL(path).href);
/** Of the largest value, which rounding in another order does not pass; as in the browser's test. */
const TOLERANCE = 1e-5;
/** Of kernels that multiply in f16. */
const HALF_TOLERANCE = 2e-3;

const { create, globals } = await importFrom(`${modules}/webgpu/index.js`);
const gpu = create(['backend=vulkan']);
const adapter = await gpu.requestAdapter();
if (adapter === null) throw new Error('Dawn found no Vulkan adapter');
// What a module for browsers looks for.
Object.assign(globalThis, globals, { window: globalThis, Window: class Window {} });
// onnxruntime-web writes from memory that threads share, which a browser takes and this binding refuses.
const { writeBuffer } = GPUQueue.prototype;
GPUQueue.prototype.writeBuffer = function (buffer, at, data, ...range) {
  return writeBuffer.call(this, buffer, at, data.buffer instanceof SharedArrayBuffer ? data.slice() : data, ...range);
};
Object.defineProperty(globalThis, 'navigator', { value: { gpu, userAgent: 'node' }, configurable: true });

const { default: init, Engine } = await importFrom(`${engineAt}diffcr_webgpu.js`);
await init({ module_or_path: await readFile(`${engineAt}diffcr_webgpu_bg.wasm`) });
const engine = await Engine.create();

const arena = await contest({
  engine,
  loadBundle,
  net: `${net}/`,
  read: async (path) => new Uint8Array(await readFile(path)),
  openOrt: async () => {
    const ort = await importFrom(`${modules}/onnxruntime-web/dist/ort.webgpu.min.mjs`);
    Object.assign(ort.env.wasm, { wasmPaths: pathToFileURL(`${modules}/onnxruntime-web/dist/`).href, numThreads: 1 });
    return ort;
  },
});
const results = {
  adapter: adapter.info.description,
  webgpu: versionOf(`${modules}/webgpu`),
  onnxruntimeVersion: versionOf(`${modules}/onnxruntime-web`),
  ...(await run(arena)),
};
record('dawn', results);

// Last, for it is long: most of it is the compiling of the plain operations.
const started = performance.now();
/** How much of its bound an error takes. */
const share = ([name, error]) => error / (name.startsWith('half') ? HALF_TOLERANCE : TOLERANCE);
const errors = Object.entries(await engine.selfTest()).sort((a, b) => share(b) - share(a));
const [[worst, error]] = errors;
const seconds = Math.round((performance.now() - started) / 1000);
console.log(`${errors.length} kernels and shapes in ${seconds} s, the worst ${worst}: ${error.toExponential(1)} (${results.adapter})`);
record('dawn', { ...results, selfTest: { cases: errors.length, worst, error, seconds } });
if (!(share(errors[0]) <= 1)) throw new Error(`${worst}: ${error}`);
process.exit(0); // Dawn's threads go on
