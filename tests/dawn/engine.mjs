/** The browser's module on a second WebGPU: Dawn, the engine inside Chrome, in Node on Mesa's lavapipe, which has f16 where SwiftShader has none. */

import { readFile } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';

const engineAt = fileURLToPath(new URL('../../build/wasm/', import.meta.url));

export const importFrom = (path) => import(pathToFileURL(path).href);

/**
 * Opens the engine on what `modules`, a node_modules with the package `webgpu`, has. Once in a process, which ends after `close`. `narrow` may
 * take something away from each adapter; `pageDevice` makes the device that the engine is handed.
 */
export async function openDawn(modules, { narrow = () => {}, pageDevice } = {}) {
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
  const { requestAdapter } = gpu;
  gpu.requestAdapter = async (...options) => {
    const adapter = await requestAdapter.apply(gpu, options);
    narrow(adapter);
    return adapter;
  };
  Object.defineProperty(globalThis, 'navigator', { value: { gpu, userAgent: 'node' }, configurable: true });

  const { default: init, Engine } = await importFrom(`${engineAt}diffcr_webgpu.js`);
  await init({ module_or_path: await readFile(`${engineAt}diffcr_webgpu_bg.wasm`) });
  // Exiting instead would take the ground from under Dawn's threads.
  const close = () => delete globalThis.navigator;
  const device = await pageDevice?.(adapter);
  return { engine: await Engine.create(device), adapter: adapter.info.description, close, device };
}

/** The bytes of a file. */
export async function read(path) {
  return new Uint8Array(await readFile(path));
}
