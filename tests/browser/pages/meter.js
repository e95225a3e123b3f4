/** Counts what a worker holds on the GPU and in wasm memory. The channel `meter` answers any message with a report; see memory.mjs. */

const live = new Map();
const modules = new Set();
let [peak, held, nextId] = [0, 0, 1];
const largest = { buffer: 0, binding: 0 };

const forget = (id) => {
  held -= live.get(id)?.size ?? 0;
  live.delete(id);
};
// A buffer that nobody destroys lives until it is collected.
const collected = new FinalizationRegistry(forget);
const ids = new WeakMap();

const wrap = (type, name, around) => {
  const plain = type.prototype[name];
  type.prototype[name] = function (...args) {
    return around(() => plain.apply(this, args), this, ...args);
  };
};
if ('GPUDevice' in globalThis) {
  wrap(GPUDevice, 'createBuffer', (make, _, { size, usage }) => {
    const buffer = make();
    const id = nextId++;
    live.set(id, { size, usage });
    ids.set(buffer, id);
    collected.register(buffer, id);
    held += size;
    peak = Math.max(peak, held);
    largest.buffer = Math.max(largest.buffer, size);
    return buffer;
  });
  wrap(GPUBuffer, 'destroy', (destroy, buffer) => {
    forget(ids.get(buffer));
    destroy();
  });
  wrap(GPUDevice, 'createBindGroup', (make, _, { entries }) => {
    for (const { resource } of entries) {
      const buffer = resource instanceof GPUBuffer ? resource : resource.buffer;
      if (buffer instanceof GPUBuffer) largest.binding = Math.max(largest.binding, resource.size ?? buffer.size - (resource.offset ?? 0));
    }
    return make();
  });
}
for (const name of ['instantiate', 'instantiateStreaming']) {
  const plain = WebAssembly[name];
  WebAssembly[name] = async (...args) => {
    const made = await plain.apply(WebAssembly, args);
    modules.add((made.instance ?? made).exports.memory);
    return made;
  };
}

/** Bytes of the live buffers with a usage. */
const bytes = (usage) => [...live.values()].reduce((sum, each) => sum + ((each.usage & usage) !== 0 ? each.size : 0), 0);

const channel = new BroadcastChannel('meter');
channel.onmessage = () => {
  const { STORAGE, MAP_READ } = globalThis.GPUBufferUsage ?? {};
  channel.postMessage({
    gpu: held,
    gpuPeak: peak,
    buffers: live.size,
    largestBuffer: largest.buffer,
    largestBinding: largest.binding,
    // Uniforms are storage too; only they have the other bit.
    tensors: bytes(STORAGE) - bytes(globalThis.GPUBufferUsage?.UNIFORM),
    uniforms: bytes(globalThis.GPUBufferUsage?.UNIFORM),
    readback: bytes(MAP_READ),
    // Wasm memory never shrinks: what there is is the most there was.
    wasm: [...modules].reduce((sum, memory) => sum + memory.buffer.byteLength, 0),
  });
};
