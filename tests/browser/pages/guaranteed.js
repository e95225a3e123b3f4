/** Makes the buffers of every adapter no larger than WebGPU guarantees. */
const { get } = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, 'limits');
const guaranteed = { maxBufferSize: 2 ** 28, maxStorageBufferBindingSize: 2 ** 27 };
Object.defineProperty(GPUAdapter.prototype, 'limits', {
  get() {
    return new Proxy(get.call(this), { get: (limits, name) => guaranteed[name] ?? limits[name] });
  },
});
