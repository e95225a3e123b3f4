/** A worker that does to WebGPU what a broken shader would do: the watch over the page must notice. */
const adapter = await navigator.gpu.requestAdapter();
const device = await adapter.requestDevice();
device.createShaderModule({ code: 'this is not WGSL' });
device.createBuffer({ size: 4, usage: 0 });
await device.queue.onSubmittedWorkDone();
postMessage('done');
