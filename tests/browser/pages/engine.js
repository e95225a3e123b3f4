/** Loads the bundle `?bundle=NAME` into the WebGPU engine itself, without the package around it: `model`. */
import init, { Engine } from '/pkg/diffcr_webgpu.js';

const folder = `/bundles/${new URLSearchParams(location.search).get('bundle')}/`;
await init({ module_or_path: '/pkg/diffcr_webgpu_bg.wasm' });
const engine = await Engine.create();
const json = await (await fetch(`${folder}diffcr.json`)).text();
const loader = engine.loader(json);
for (const { path } of engine.manifest(json).files) {
  loader.addFile(path, new Uint8Array(await (await fetch(folder + path)).arrayBuffer()));
}
globalThis.model = loader.finish();
document.body.dataset.api = 'ready';
