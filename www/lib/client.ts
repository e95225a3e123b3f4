/** `loadModel`: from the address of a bundle to a {@link Pipeline}. Fetching happens on the page, everything else in the worker. */

import { abortable, throwIfAborted } from './abort.ts';
import { suitsCpu } from './adapter.ts';
import { absolute, listedBytes, resolveBundle, resolveFolder, type BundleUrls } from './bundle.ts';
import { abortError, asError, DiffCRError, type Code } from './errors.ts';
import type { Precision, Tuning } from './kernels.ts';
import { Pipeline } from './pipeline.ts';
import { ProgressMeter, type Progress } from './progress.ts';
import type { Backend, DeviceChoice, ReplyOf } from './protocol.ts';
import { connectWorker, Remote, type Connect } from './remote.ts';
import { platformFetch } from './support.ts';
import { fetchChunks } from './weights/chunks.ts';
import { fetchBytes, type Fetch } from './weights/fetch.ts';
import { Store } from './weights/store.ts';

export interface LoadOptions {
  /**
   * `'auto'` takes WebGPU, and the CPU where there is none, or where WebGPU computes on the CPU itself and the model has at most 64 MiB
   * (`pipeline.note` then says why). @default 'auto'
   */
  readonly device?: DeviceChoice;
  /**
   * What matrix products may round to where this device is faster then: nothing, f16 factors, or activations of 8 bits as well (for
   * weights in q8 or q4), which changes pictures a little. Small models are exact. @default 'half'
   */
  readonly precision?: Precision;
  /** Milliseconds that timing kernels may take, about. @default a tenth of what loading took, and at most 3000 */
  readonly tuningMs?: number;
  /** Keeps what kernels were timed at for the next load (see `forgetKernels`). @default true */
  readonly rememberKernels?: boolean;
  /** Files fetched at a time; as many chunks, and one more, are held in memory. @default 4 */
  readonly concurrency?: number;
  /** Address of `worker.js`. @default beside this module */
  readonly workerUrl?: string | URL;
  /** Address of the folder with `diffcr_webgpu.js`, `diffcr_webgpu_bg.wasm` and the same two for `cpu`. @default beside the worker */
  readonly wasmUrl?: string | URL;
  /** Keeps verified weights in the browser, so that the next visit fetches nothing and works offline; see {@link models}. @default 'auto' */
  readonly cache?: 'auto' | 'none';
  /** Hears of what went wrong and is no reason to stop: weights that the browser does not keep (`QUOTA`). */
  readonly onWarning?: (warning: DiffCRError) => void;
  /** Fetches the manifest and the weights. @default the platform's */
  readonly fetch?: Fetch;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/**
 * Loads the bundle at `url`: its folder, or its `diffcr.json`; a relative address counts from the page.
 * Rejects with a {@link DiffCRError}, or with `AbortError` when the signal fires; nothing is left running then.
 */
export async function loadModel(url: string | URL, options: LoadOptions = {}): Promise<Pipeline> {
  return await load(url, options, defaultWorker(options.workerUrl));
}

/** {@link loadModel} with the worker injected. */
export async function load(url: string | URL, options: LoadOptions, connect: Connect): Promise<Pipeline> {
  throwIfAborted(options.signal);
  const urls = resolveBundle(url);
  const { device, concurrency, cache, tuning } = checked(options);
  const wasmUrl = options.wasmUrl === undefined ? undefined : resolveFolder(options.wasmUrl, 'wasmUrl');
  const store = cache === 'auto' ? await Store.open() : undefined;
  const { fetch = platformFetch, onWarning, onProgress, signal } = options;
  const attempt = { urls, fetch, concurrency, store, onWarning, tuning, wasmUrl, connect, signal, onProgress: rising(onProgress) };
  const [pipeline, fallback] = await loadOn(device, attempt);
  if (pipeline !== undefined) return pipeline;
  const [onCpu] = await loadOn(
    'cpu',
    attempt,
    `WebGPU failed while the model was loaded (${fallback.message}). It runs on the CPU, which is slower.`,
  );
  if (onCpu !== undefined) return onCpu;
  throw fallback;
}

/** What a load on any device needs. */
interface Attempt extends Omit<Source, 'signal'> {
  readonly wasmUrl: string | undefined;
  readonly connect: Connect;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (progress: Progress) => void;
}

/** What of WebGPU's failures the CPU module does not share. */
const LEFT_TO_CPU: readonly Code[] = ['DEVICE_LOST', 'INTERNAL', 'LIMIT_TOO_SMALL', 'NO_ADAPTER', 'OUT_OF_MEMORY', 'WEBGPU_UNAVAILABLE'];

/** A load on `device`. Where that was left to us and WebGPU failed in any phase, what it failed with, for the CPU to take over. */
async function loadOn(device: DeviceChoice, attempt: Attempt, note?: string): Promise<[Pipeline] | [undefined, DiffCRError]> {
  const { urls, wasmUrl, connect, onProgress } = attempt;
  const remote = new Remote(connect);
  const stop = new AbortController();
  const { signal } = stop;
  let backend: Backend | undefined;
  try {
    const source: Source = { ...attempt, signal };
    const meter = new ProgressMeter((progress) => signal.aborted || onProgress(progress));
    const manifest = readManifest(source);
    const open = openEngine(remote, device, wasmUrl, async () => listedBytes((await manifest).json, urls.manifest));
    open.then(
      (opened) => (backend = opened.backend),
      () => {},
    );
    const work = Promise.all([open, loadWeights(remote, open, manifest, source, meter)]);
    const [opened, info] = await abortable(Promise.race([work, remote.ended]), attempt.signal);
    meter.finish();
    return [new Pipeline(remote, note === undefined ? opened : { ...opened, note }, info)];
  } catch (thrown) {
    const error = asError(thrown);
    stop.abort();
    remote.close(error);
    if (device === 'auto' && backend === 'webgpu' && error instanceof DiffCRError && LEFT_TO_CPU.includes(error.code))
      return [undefined, error];
    throw error;
  }
}

/** `report`, which never hears of less than before: a second attempt starts anew. */
function rising(report: LoadOptions['onProgress']): (progress: Progress) => void {
  let most = 0;
  return (progress) => {
    if (progress.overall < most) return;
    most = progress.overall;
    report?.(progress);
  };
}

interface Source {
  readonly urls: BundleUrls;
  readonly fetch: Fetch;
  readonly signal: AbortSignal;
  readonly concurrency: number;
  readonly store: Store | undefined;
  readonly onWarning: LoadOptions['onWarning'];
  readonly tuning: Tuning;
}

interface ReadManifest {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly json: string;
  /** It is the one that was kept. */
  readonly offline: boolean;
}

/** Starts the module of the device, while the manifest comes in; it is waited for where the choice depends on the model's size. */
async function openEngine(
  remote: Remote,
  device: DeviceChoice,
  wasmUrl: string | undefined,
  size: () => Promise<number>,
): Promise<ReplyOf<'opened'>> {
  const start = (device: DeviceChoice): Promise<ReplyOf<'opened'>> =>
    remote.call('opened', (id) => ({ id, type: 'open', device, ...(wasmUrl === undefined ? {} : { wasmUrl }) }));
  if (device !== 'auto') return await start(device);
  const { software } = await remote.call('adapter', (id) => ({ id, type: 'adapter' }));
  if (software === undefined || !suitsCpu(await size())) return await start(device);
  const note = `WebGPU computes on the CPU here (${software}). The model runs on the CPU build, which is faster for one of its size.`;
  return { ...(await start('cpu')), note };
}

/** Brings the manifest and every chunk to the worker; what the model says of itself. */
async function loadWeights(remote: Remote, open: Promise<unknown>, manifest: Promise<ReadManifest>, source: Source, meter: ProgressMeter) {
  const { urls, fetch, signal, concurrency, store, onWarning, tuning } = source;
  const [{ bytes, json, offline }] = await Promise.all([manifest, open]);
  const { summary } = await remote.call('manifest', (id) => ({ id, type: 'manifest', json }));
  // Kept before its files, which would otherwise look as if nobody needed them.
  if (!offline) await store?.keepManifest(urls.manifest, bytes).catch(() => {});
  meter.start(summary.totalBytes);
  await fetchChunks(summary.files, {
    base: urls.base,
    fetch,
    signal,
    concurrency,
    meter,
    store,
    offline,
    ...(offline ? { backoffMs: [] } : {}),
    onWarning,
    deliver: async ({ path }, bytes) => {
      await remote.call('added', (id) => ({ id, type: 'file', path, bytes }), { transfer: [bytes.buffer] });
    },
  });
  if (signal.aborted) throw abortError();
  const ready = remote.call('ready', (id) => ({ id, type: 'finish', tuning }));
  const [{ info }] = await Promise.all([ready, store?.prune().catch(() => {})]); // while the model is put together
  return info;
}

/** From the network, and where that is gone from what was kept. */
async function readManifest({ urls, fetch, signal, store }: Source): Promise<ReadManifest> {
  const read = (bytes: Uint8Array<ArrayBuffer>, offline: boolean): ReadManifest => ({
    bytes,
    json: new TextDecoder().decode(bytes),
    offline,
  });
  // Nothing is gained by trying again and again where the browser knows that it is offline.
  const backoffMs = globalThis.navigator?.onLine === false ? { backoffMs: [] } : {};
  try {
    return read(await fetchBytes(urls.manifest, { fetch, signal, ...backoffMs }), false);
  } catch (error) {
    const answered = !(error instanceof DiffCRError) || error.code !== 'NETWORK' || error.details['status'] !== undefined;
    const kept = answered ? undefined : await store?.manifest(urls.manifest).catch(() => undefined);
    if (kept === undefined) throw error;
    return read(kept, true);
  }
}

/** The options that are numbers and words, checked. */
function checked(options: LoadOptions): Required<Pick<LoadOptions, 'device' | 'concurrency' | 'cache'>> & { readonly tuning: Tuning } {
  const {
    device = 'auto',
    concurrency = 4,
    cache = 'auto',
    precision = 'half',
    rememberKernels: remember = true,
    tuningMs: budgetMs,
  } = options;
  if (!['auto', 'webgpu', 'cpu'].includes(device)) {
    throw new DiffCRError('INVALID_INPUT', `device: ${JSON.stringify(device)} is not 'auto', 'webgpu' or 'cpu'`, { field: 'device' });
  }
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 32) {
    throw new DiffCRError('INVALID_INPUT', `concurrency: ${concurrency} is not a whole number from 1 to 32`, { field: 'concurrency' });
  }
  if (cache !== 'auto' && cache !== 'none') {
    throw new DiffCRError('INVALID_INPUT', `cache: ${JSON.stringify(cache)} is not 'auto' or 'none'`, { field: 'cache' });
  }
  if (!['exact', 'half', 'int8'].includes(precision)) {
    throw new DiffCRError('INVALID_INPUT', `precision: ${JSON.stringify(precision)} is not 'exact', 'half' or 'int8'`, {
      field: 'precision',
    });
  }
  if (budgetMs !== undefined && !(budgetMs >= 0)) {
    throw new DiffCRError('INVALID_INPUT', `tuningMs: ${budgetMs} is not a number from 0`, { field: 'tuningMs' });
  }
  return { device, concurrency, cache, tuning: { precision, remember, ...(budgetMs === undefined ? {} : { budgetMs }) } };
}

function defaultWorker(workerUrl: string | URL | undefined): Connect {
  if (workerUrl === undefined) {
    // Spelled out in one piece: this is the form that bundlers look for.
    return connectWorker(() => new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'diffcr' }), 'worker.js');
  }
  const url = absolute(workerUrl, 'workerUrl');
  return connectWorker(() => new Worker(url, { type: 'module', name: 'diffcr' }), url.href);
}
