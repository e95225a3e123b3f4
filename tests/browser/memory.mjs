/** What loading and running a bundle takes: GPU buffers and wasm memory as meter.js counts them, and the JavaScript heaps. */

const MIB = 2 ** 20;

/**
 * Loads the bundle at `url` into a page at test/api.html through the package's own loader, and runs one denoising step.
 * @param {import('playwright-core').Page} page
 * @param {string} url
 * @param {{ concurrency?: number, run: object }} options `run`: what `generate` is asked for; `{ random: shape }` is noise
 */
export async function measure(page, url, { concurrency = 4, run }) {
  const heap = await sampleHeap(page);
  const loadMs = await page.evaluate(load, { url, concurrency });
  const most = await heap.stop();
  const loaded = await page.evaluate(report);
  const stepMs = await page.evaluate(step, run);
  const ran = await page.evaluate(report);
  return { loadMs, stepMs, heap: most, loaded, ran };
}

async function load({ url, concurrency }) {
  const start = performance.now();
  globalThis.pipe = await globalThis.diffcr.loadModel(url, { device: 'webgpu', workerUrl: '/test/metered.js', concurrency });
  return Math.round(performance.now() - start);
}

export function report() {
  const channel = new BroadcastChannel('meter');
  return new Promise((resolve) => {
    channel.onmessage = ({ data }) => {
      channel.close();
      resolve(data);
    };
    channel.postMessage('report');
  });
}

/** Until the first step is done; what comes after is not run. */
async function step(run) {
  const noise = (shape) => ({ shape, data: Float32Array.from({ length: shape.reduce((n, d) => n * d) }, () => 2 * Math.random() - 1) });
  const options = Object.fromEntries(Object.entries(run).map(([key, value]) => [key, value?.random ? noise(value.random) : value]));
  const start = performance.now();
  for await (const event of globalThis.pipe.stream({ steps: 2, ...options })) {
    if (event.type === 'step') break;
  }
  return Math.round(performance.now() - start);
}

/** The most that the heaps of the page and of its workers held together, array buffers included; sampled, in bytes. */
async function sampleHeap(page) {
  const session = await page.context().newCDPSession(page);
  const waiting = new Map();
  const workers = new Set();
  let [id, most, running] = [0, 0, true];
  session.on('Target.attachedToTarget', ({ sessionId }) => workers.add(sessionId));
  session.on('Target.detachedFromTarget', ({ sessionId }) => workers.delete(sessionId));
  session.on('Target.receivedMessageFromTarget', ({ message }) => {
    const { id, result } = JSON.parse(message);
    waiting.get(id)?.(result);
  });
  await session.send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  const ask = (sessionId) =>
    new Promise((resolve) => {
      waiting.set(++id, resolve);
      session.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id, method: 'Runtime.getHeapUsage' }) }).catch(() => resolve(undefined));
    });
  const sampling = (async () => {
    while (running) {
      const usages = await Promise.all([session.send('Runtime.getHeapUsage'), ...[...workers].map(ask)]);
      most = Math.max(most, usages.reduce((sum, usage) => sum + (usage?.usedSize ?? 0) + (usage?.backingStorageSize ?? 0), 0));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  return {
    stop: async () => {
      running = false;
      await sampling;
      await session.detach();
      return most;
    },
  };
}

/** Bytes in MiB, with a decimal. */
export function mib(bytes) {
  return Math.round((10 * bytes) / MIB) / 10;
}
