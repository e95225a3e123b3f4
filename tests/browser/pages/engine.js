/** The WebGPU engine itself, without the package around it: `engine`, and the bundle `?bundle=NAME` loaded into it as `model`. */
import init, { Engine } from '/pkg/diffcr_webgpu.js';

await init({ module_or_path: '/pkg/diffcr_webgpu_bg.wasm' });
globalThis.engine = await Engine.create();
const bundle = new URLSearchParams(location.search).get('bundle');
if (bundle !== null) globalThis.model = await load(`/bundles/${bundle}/`);
document.body.dataset.api = 'ready';

async function load(folder) {
  const json = await (await fetch(`${folder}diffcr.json`)).text();
  const loader = engine.loader(json);
  for (const { path } of engine.manifest(json).files) {
    loader.addFile(path, new Uint8Array(await (await fetch(folder + path)).arrayBuffer()));
  }
  return loader.finish();
}
