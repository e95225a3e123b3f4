/**
 * The engine on adapters that lack things, on Dawn in Node: `adapters.mjs MODULES KIND`, forked by tests/browser/adapters.test.ts, to which it sends
 * what the engine says of its device and the picture of the scenes model.
 *   all            the adapter as it is
 *   no-timestamp   its own features and limits, but no `timestamp-query`
 *   base-limits    no optional feature, and every limit at WebGPU's default
 *   page-device    a device that the page made, with an error handler of its own
 */

import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadBundle } from '../browser/pages/bundle.mjs';
import { openDawn, read } from './engine.mjs';

const SCENES = fileURLToPath(new URL('../../www/public/models/scenes/', import.meta.url));
/** WebGPU's defaults, of those that decide what runs. */
const DEFAULTS = {
  maxBufferSize: 2 ** 28, maxStorageBufferBindingSize: 2 ** 27, maxStorageBuffersPerShaderStage: 8, maxComputeWorkgroupStorageSize: 16_384,
  maxComputeInvocationsPerWorkgroup: 256, maxComputeWorkgroupSizeX: 256, maxComputeWorkgroupSizeY: 256, maxComputeWorkgroupSizeZ: 64,
  maxUniformBufferBindingSize: 65_536, minUniformBufferOffsetAlignment: 256, minStorageBufferOffsetAlignment: 256,
};
/** All but attention with wide heads and convolutions, which lavapipe takes minutes to compile. */
const KERNELS = ['direct', 'shared', 'thin', 'linear', 'unpack', 'norm', 'group norm', 'select', 'conv shared point'];
const KINDS = {
  all: {},
  'no-timestamp': { hidden: (feature) => feature === 'timestamp-query' },
  'base-limits': { hidden: () => true, limits: DEFAULTS },
  'page-device': {},
};

const [modules, kind] = process.argv.slice(2);
const { hidden = () => false, limits = {} } = KINDS[kind];
const errors = [];
const { engine, close, device } = await openDawn(resolve(modules), {
  narrow(adapter) {
    const { features, limits: real } = adapter;
    Object.defineProperty(adapter, 'features', { value: new Set([...features].filter((feature) => !hidden(feature))) });
    Object.defineProperty(adapter, 'limits', { value: new Proxy(real, { get: (target, key) => limits[key] ?? target[key] }) });
  },
  pageDevice: kind !== 'page-device' ? undefined : async (adapter) => {
    const device = await adapter.requestDevice({ requiredFeatures: ['shader-f16'] });
    device.onuncapturederror = ({ error }) => errors.push(error.message);
    return device;
  },
});
const handler = device?.onuncapturederror;
const model = await loadBundle(engine, SCENES, read);
const run = await model.generate({ prompt: 'a large red star on a blue background', seed: 7, guidance: 3, steps: 4 });
while ((await run.step()) !== undefined);
const { latents } = await run.finish();
// Afterwards the page's handler still hears of what the page does wrong.
device?.createBuffer({ size: 4, usage: 0xffff });
await device?.queue.onSubmittedWorkDone();
const tested = {};
if (kind === 'base-limits') for (const kernel of KERNELS) Object.assign(tested, await engine.selfTest(kernel));
const handlerKept = device === undefined || (device.onuncapturederror === handler && errors.length > 0);
process.send({ profile: engine.profile(), latents: [...latents.data], tested, handlerKept }, () => {
  process.disconnect();
  close();
});
