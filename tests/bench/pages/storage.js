/** Ways to keep files in a browser. `globalThis.measure(kind, sizes, verb)` writes or reads files of these sizes, as many at a time as the loader. */
const CONCURRENCY = 4;

const root = () => navigator.storage.getDirectory();
const worker = new Worker('storage-worker.js', { type: 'module' });
const waiting = new Map();
worker.onmessage = ({ data }) => {
  const { done, failed } = waiting.get(data.name);
  if (data.error === undefined) done(data);
  else failed(new Error(data.error));
  waiting.delete(data.name);
};
const ask = (message, transfer = []) =>
  new Promise((done, failed) => {
    waiting.set(message.name, { done, failed });
    worker.postMessage(message, transfer);
  });

const KINDS = {
  'Cache API': {
    write: async (name, bytes) => (await caches.open('bench')).put(`/${name}`, new Response(bytes)),
    read: async (name) => new Uint8Array(await (await (await caches.open('bench')).match(`/${name}`)).arrayBuffer()),
    clear: () => caches.delete('bench'),
  },
  'OPFS on the page': {
    write: async (name, bytes) => {
      const file = await (await (await root()).getFileHandle(name, { create: true })).createWritable();
      await file.write(bytes);
      await file.close();
    },
    read: async (name) => new Uint8Array(await (await (await (await root()).getFileHandle(name)).getFile()).arrayBuffer()),
  },
  'OPFS in a worker': {
    write: async (name, bytes) => void (await ask({ name, bytes }, [bytes.buffer])),
    read: async (name) => (await ask({ name })).bytes,
  },
};
const clearFiles = async () => {
  for await (const name of (await root()).keys()) await (await root()).removeEntry(name);
};

/** Bytes that no store can pack. */
function noise(length) {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, Math.min(length, at + 65_536)));
  return bytes;
}

/** Milliseconds that it takes; what is read is of the right size, or it throws. */
globalThis.measure = async (kind, sizes, verb) => {
  const store = KINDS[kind];
  if (verb === 'clear') return await (store.clear ?? clearFiles)();
  const files = sizes.map((size, i) => ({ name: `file-${i}`, size, bytes: verb === 'write' ? noise(size) : undefined }));
  const start = performance.now();
  const next = async () => {
    for (let file = files.shift(); file !== undefined; file = files.shift()) {
      const read = verb === 'write' ? await store.write(file.name, file.bytes) : await store.read(file.name);
      if (verb === 'read' && read.length !== file.size) throw new Error(`${kind}: ${file.name} has ${read.length} bytes`);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, next));
  return performance.now() - start;
};
document.body.dataset.ready = '';
