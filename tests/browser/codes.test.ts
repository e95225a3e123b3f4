/** Every code that a `DiffCRError` can carry, raised by the built package in Chromium with the details that its type promises. */

import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Code, DetailsOf, DiffCRError } from '../../www/lib/index.ts';
import { addressFor, openPage, startBrowser, startServer, type Gpu } from './harness.ts';

type Raised = Pick<DiffCRError, 'code' | 'details'>;

declare global {
  /** Set by {@link raisedBy}: what a promise rejects with. */
  var caught: (work: Promise<unknown>) => Promise<Raised>;
}

/** A way to raise a code, and what of its details is always there. */
interface Row<C extends Code> {
  readonly details: DetailsOf[C];
  readonly raise: (page: Page) => Promise<Raised>;
  readonly gpu?: Gpu;
  /** What the browser says of it on the console. */
  readonly complaints?: RegExp;
}

const text = expect.any(String) as string;
const number = expect.any(Number) as number;

/** What loading a bundle rejects with; `/faulty/NAME/` are damaged ones, see faults.ts. */
const loading = (url: string, options: object = {}) => (page: Page) =>
  page.evaluate(({ url, options }) => caught(diffcr.loadModel(url, { device: 'cpu', cache: 'none', ...options })), { url, options });

/** What a run of the page's model rejects with. */
const running = (options: object, load: object = {}) => (page: Page) =>
  page.evaluate(async ({ options, load }) => {
    const pipe = await diffcr.loadModel('/models/scenes-q4/', { device: 'cpu', cache: 'none', ...load });
    return await caught(pipe.generate(options));
  }, { options, load });

/** What a long run on a device rejects with, that `end` puts an end to after its first step; the next one draws. */
const ending = (device: 'cpu' | 'webgpu', end: (page: Page) => Promise<unknown>) => async (page: Page) => {
  const run = page.evaluate(async (device) => {
    const pipe = await diffcr.loadModel('/models/scenes-q4/', { device, cache: 'none' });
    const raised = await caught(pipe.generate({ steps: 500, onStep: () => void (document.body.dataset['stepped'] = '') }));
    await pipe.generate({ steps: 1 });
    return raised;
  }, device);
  await page.waitForSelector('body[data-stepped]', { state: 'attached' });
  await end(page);
  return await run;
};

const FAILED_TO_LOAD = /Failed to load resource/;

const ROWS: { readonly [C in Code]: Row<C> } = {
  WEBGPU_UNAVAILABLE: { gpu: 'no webgpu', raise: loading('/models/scenes-q4/', { device: 'webgpu' }), details: { secureContext: false } },
  NO_ADAPTER: { gpu: 'no adapter', raise: loading('/models/scenes-q4/', { device: 'webgpu' }), details: {}, complaints: /No available adapters/ },
  WORKER: { raise: loading('/models/scenes-q4/', { workerUrl: '/nowhere.js' }), details: { url: text, remedy: text }, complaints: FAILED_TO_LOAD },
  LIMIT_TOO_SMALL: {
    raise: running({ width: 4096, height: 4096, steps: 1 }, { device: 'webgpu', workerUrl: '/test/limited.js' }),
    details: { limit: 'maxStorageBufferBindingSize', needed: number, available: 2 ** 27 },
  },
  OUT_OF_MEMORY: {
    raise: running({ width: 4096, height: 4096 }),
    details: { needed: number, available: number, width: 4096, height: 4096 },
  },
  DEVICE_LOST: {
    raise: ending('webgpu', async (page) => {
      const session = await page.context().browser()?.newBrowserCDPSession();
      await session?.send('Browser.crashGpuProcess');
    }),
    details: { reason: text },
    complaints: /device was lost/,
  },
  INTEGRITY: { raise: loading('/faulty/altered/'), details: { file: text, reason: text, url: text } },
  NETWORK: { raise: loading('/faulty/missing/'), details: { url: text, attempts: 1, status: 404 }, complaints: FAILED_TO_LOAD },
  QUOTA: {
    raise: async (page) => {
      const session = await page.context().newCDPSession(page);
      await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(page.url()).origin, quotaSize: 500_000 });
      return await page.evaluate(() => caught(new Promise((_, reject) => void diffcr.loadModel('/models/scenes-q4/', { device: 'cpu', onWarning: reject }))));
    },
    details: { file: text, bytes: number },
  },
  OFFLINE_MISS: {
    raise: async (page) => {
      await page.evaluate(async () => {
        await diffcr.download('/models/scenes-q4/');
        for (const name of await caches.keys()) {
          const cache = await caches.open(name);
          // Every file but the manifest, which is kept by its address.
          for (const request of await cache.keys()) if (!request.url.includes('diffcr.json')) await cache.delete(request);
        }
      });
      await page.route('**/models/**', (route) => route.abort('internetdisconnected'));
      return await loading('/models/scenes-q4/', { cache: 'auto' })(page);
    },
    details: { file: text, url: text },
    complaints: /ERR_INTERNET_DISCONNECTED/,
  },
  MANIFEST_INVALID: { raise: loading('/faulty/not-json/'), details: {} },
  MANIFEST_VERSION: { raise: loading('/faulty/version/'), details: { found: 99, supported: number } },
  MODEL_INVALID: { raise: loading('/faulty/misfit/'), details: { name: text, reason: text } },
  NOT_FINITE: {
    raise: (page) => page.evaluate(async () => {
      const pipe = await diffcr.loadModel('/models/scenes-q4/', { device: 'cpu', cache: 'none' });
      return await caught(pipe.generate({ promptEmbeds: { shape: [1, 1, 128], data: new Float32Array(128).fill(3e38) }, guidance: 1, steps: 2 }));
    }),
    details: { what: 'latents', step: 1, total: 2 },
  },
  BUSY: {
    raise: (page) => page.evaluate(async () => {
      const pipe = await diffcr.loadModel('/models/scenes-q4/', { device: 'cpu', cache: 'none' });
      const first = pipe.generate({ steps: 2 });
      const second = await caught(pipe.generate({ busy: 'reject' }));
      await first;
      return second;
    }),
    details: { busy: 'reject' },
  },
  DISPOSED: {
    raise: (page) => page.evaluate(async () => {
      const pipe = await diffcr.loadModel('/models/scenes-q4/', { device: 'cpu', cache: 'none' });
      await pipe.dispose();
      return await caught(pipe.generate());
    }),
    details: {},
  },
  INVALID_INPUT: { raise: running({ stepz: 3 }), details: { field: 'stepz', reason: text, nearest: 'steps' } },
  INTERNAL: {
    // As a trap of the module ends.
    raise: ending('cpu', (page) =>
      page.workers()[0]?.evaluate(() => void setTimeout(() => { throw new WebAssembly.RuntimeError('unreachable'); })) ?? Promise.reject(new Error('no worker')),
    ),
    details: {},
    complaints: /RuntimeError: unreachable/,
  },
};

let server: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  server = await startServer();
});
afterAll(async () => await server?.close());

test.each(Object.entries(ROWS))('%s', async (code, { raise, details, gpu = 'webgpu', complaints = /^$/ }) => {
  // A browser each: what one has lost, another is not to miss.
  const browser = await startBrowser(gpu);
  try {
    const { page, close } = await openPage(browser);
    await page.goto(`${addressFor(gpu, server.url)}test/api.html`);
    await page.waitForSelector('body[data-api=ready]', { state: 'attached' });
    await page.evaluate(() => {
      const told = ({ code, details }: DiffCRError): Raised => ({ code, details });
      globalThis.caught = (work) => work.then(() => Promise.reject(new Error('nothing was raised')), told);
    });
    expect(await raise(page)).toEqual({ code, details: expect.objectContaining(details) });
    await close(complaints);
  } finally {
    await browser.close();
  }
});
