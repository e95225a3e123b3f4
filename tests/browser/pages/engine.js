/**
 * The WebGPU engine itself, without the package around it: `engine`, and the bundle `?bundle=NAME` loaded into it as `model`; with
 * `&choose=gpu` by the kernels that a GPU has.
 */
import init, { Engine } from '/pkg/diffcr_webgpu.js';
import { loadBundle } from './bundle.mjs';

await init({ module_or_path: '/pkg/diffcr_webgpu_bg.wasm' });
globalThis.engine = await Engine.create();
const query = new URLSearchParams(location.search);
engine.chooseAsOnGpu(query.get('choose') === 'gpu');
const bundle = query.get('bundle');
if (bundle !== null) globalThis.model = await loadBundle(engine, `/bundles/${bundle}/`);
document.body.dataset.api = 'ready';
