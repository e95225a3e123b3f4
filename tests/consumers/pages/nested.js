/** The package in a worker of the page's own, with a relative address there. */
const worker = new Worker('inner.js', { type: 'module' });
worker.onmessage = ({ data }) => (globalThis.result = data);
worker.onerror = ({ message }) => (globalThis.result = { error: { message } });
worker.postMessage(Object.fromEntries(new URLSearchParams(location.search)));
