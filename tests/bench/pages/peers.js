/** The contest in a page: `peers` opens contestants and times their steps. */
import init, { Engine } from '/engine/diffcr_webgpu.js';
import { loadBundle } from '/test/bundle.mjs';
import { contest } from './contest.mjs';

await init({ module_or_path: '/engine/diffcr_webgpu_bg.wasm' });
globalThis.peers = await contest({
  engine: await Engine.create(),
  loadBundle,
  net: '/net/',
  read: async (address) => new Uint8Array(await (await fetch(address)).arrayBuffer()),
  openOrt: async () => {
    const ort = await import('/ort/ort.webgpu.min.mjs');
    Object.assign(ort.env.wasm, { wasmPaths: '/ort/', numThreads: 1 });
    return ort;
  },
});
