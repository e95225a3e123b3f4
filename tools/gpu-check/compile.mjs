/**
 * Compiles one WGSL file as Chrome would, Dawn on the Vulkan driver that the environment names: `compile.mjs MODULES FILE`. The driver's own
 * listing goes to stderr, between marks that `check.mjs` reads. Run by `check.mjs`, a process a kernel: a compiler may crash.
 */
import { readFileSync, writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [modules, file] = process.argv.slice(2);
const { create, globals } = await import(pathToFileURL(`${modules}/webgpu/index.js`).href);
Object.assign(globalThis, globals);
const toggles = process.env.NO_ROBUSTNESS ? ['enable-dawn-features=disable_robustness'] : [];
// Kept: Dawn's binding crashes once this is collected.
globalThis.gpu = create(['backend=vulkan', ...toggles]);
const mark = (name, value) => writeSync(2, `\n@@@ ${JSON.stringify({ [name]: value })}\n`);

const adapter = await globalThis.gpu.requestAdapter();
if (!adapter) {
  mark('error', 'no adapter');
  process.exit(1);
}
mark('driver', adapter.info.description);
const requiredFeatures = ['shader-f16', 'subgroups'].filter((name) => adapter.features.has(name));
if (!adapter.features.has('shader-f16') && /^enable f16/m.test(readFileSync(file, 'utf8'))) {
  mark('skipped', 'no shader-f16');
  process.exit(0);
}
const device = await adapter.requestDevice({ requiredFeatures });
device.pushErrorScope('validation');
mark('begin', file);
const module = device.createShaderModule({ code: readFileSync(file, 'utf8') });
device.createComputePipeline({ layout: 'auto', compute: { module } });
mark('end', file);
const error = await device.popErrorScope();
if (error) mark('error', error.message.split('\n').slice(0, 3).join(' '));
process.exit(error ? 1 : 0);
