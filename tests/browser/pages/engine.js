/** The WebGPU engine itself, without the package around it: `engine`, and the bundle `?bundle=NAME` loaded into it as `model`. */
import init, { Engine } from '/pkg/diffcr_webgpu.js';
import { loadBundle } from './bundle.mjs';

await init({ module_or_path: '/pkg/diffcr_webgpu_bg.wasm' });
globalThis.engine = await Engine.create();
const bundle = new URLSearchParams(location.search).get('bundle');
if (bundle !== null) globalThis.model = await loadBundle(engine, `/bundles/${bundle}/`);
document.body.dataset.api = 'ready';
