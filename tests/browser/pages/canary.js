/** A worker that does to WebGPU what a broken shader would do, and warns: the watch over the page must notice both. */
const adapter = await navigator.gpu.requestAdapter();
const device = await adapter.requestDevice();
device.createShaderModule({ code: 'this is not WGSL' });
await device.queue.onSubmittedWorkDone();
console.warn('the canary sings');
postMessage('done');
