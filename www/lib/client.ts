/** `loadModel`: from the address of a bundle to a {@link Pipeline}. Fetching happens on the page, everything else in the worker. */

import { abortable, linked, throwIfAborted } from './abort.ts';
import { suitsCpu } from './adapter.ts';
import { absolute, listedBytes } from './bundle.ts';
import { asError, DiffCRError, type Code } from './errors.ts';
import { guarded } from './guard.ts';
import { readLoadOptions, type CheckedLoad, type LoadOptions } from './load_options.ts';
import { filesOf, readManifest, type Files, type ReadManifest } from './manifest.ts';
import { Pipeline, type Opened } from './pipeline.ts';
import { platform } from './platform.ts';
import { ProgressMeter, type Progress } from './progress.ts';
import type { Backend, DeviceChoice, FileEntry, ReplyOf } from './protocol.ts';
import { Remote, type Connect } from './remote.ts';
import { openSource, type ModelSource } from './source.ts';
import type { ScriptAddress } from './spawn.ts';
import { fetchChunks, type ChunkOptions } from './weights/chunks.ts';
import { askToPersist } from './weights/persist.ts';
import { hashes } from './weights/verify.ts';

export type { LoadOptions };

/**
 * Loads the bundle at `url`: its folder, or its `diffcr.json`; a relative address counts from the page.
 * Rejects with a {@link DiffCRError}, or with the signal's reason, an `AbortError`, when it fires; nothing is left running then.
 */
export function loadModel(url: ModelSource, options?: LoadOptions): Promise<Pipeline> {
  return load(url, options, (workerUrl) => platform.connect(resolved(workerUrl)));
}

/** {@link loadModel} with the worker injected. */
export function load(
  url: ModelSource,
  options: LoadOptions | undefined,
  connectTo: (workerUrl: ScriptAddress | undefined) => Connect,
): Promise<Pipeline> {
  let signal: AbortSignal | undefined;
  return guarded(
    async () => {
      const checked = readLoadOptions(options);
      signal = checked.signal;
      throwIfAborted(signal);
      const connect = connectTo(checked.workerUrl);
      const files = await filesOf(await openSource(url), checked);
      const attempt = { ...checked, files, connect, onProgress: rising(checked.onProgress) };
      const opened = await open(attempt);
      // A worker that died is replaced when it is next needed, on the device that it had.
      const again = { ...attempt, device: opened.backend, signal: undefined, onProgress: () => {} };
      return new Pipeline(opened, () => open(again));
    },
    () => signal,
  );
}

/** Strings count from the page; what a Trusted Types policy has approved passes as it is. */
function resolved(workerUrl: ScriptAddress | undefined): ScriptAddress | undefined {
  const plain = typeof workerUrl === 'string' || Object.prototype.toString.call(workerUrl) === '[object URL]';
  return plain ? absolute(workerUrl, 'workerUrl').href : workerUrl;
}

/** What a load on any device needs. */
interface Attempt extends Omit<CheckedLoad, 'onProgress'> {
  readonly files: Files;
  readonly connect: Connect;
  readonly onProgress: (progress: Progress) => void;
}

async function open(attempt: Attempt): Promise<Opened> {
  const [opened, fallback] = await loadOn(attempt.device, attempt);
  if (opened !== undefined) return opened;
  const [onCpu] = await loadOn(
    'cpu',
    attempt,
    `WebGPU failed while the model was loaded (${fallback.message}). It runs on the CPU, which is slower.`,
  );
  if (onCpu !== undefined) return onCpu;
  throw fallback;
}

/** What of WebGPU's failures the CPU module does not share. */
const LEFT_TO_CPU: readonly Code[] = ['DEVICE_LOST', 'INTERNAL', 'LIMIT_TOO_SMALL', 'NO_ADAPTER', 'OUT_OF_MEMORY', 'WEBGPU_UNAVAILABLE'];

/** A load on `device`. Where that was left to us and WebGPU failed in any phase, what it failed with, for the CPU to take over. */
async function loadOn(device: DeviceChoice, attempt: Attempt, note?: string): Promise<[Opened] | [undefined, DiffCRError]> {
  const { files, connect, onProgress } = attempt;
  const remote = new Remote(connect);
  const { controller: stop, unlink } = linked(attempt.signal);
  const { signal } = stop;
  let backend: Backend | undefined;
  try {
    const meter = new ProgressMeter((progress) => signal.aborted || onProgress(progress));
    const manifest = readManifest(files, signal);
    const open = openEngine(remote, device, attempt, async () => listedBytes((await manifest).json, files.urls.manifest));
    open.then(
      (opened) => (backend = opened.backend),
      () => {},
    );
    const work = Promise.all([open, loadWeights(remote, open, manifest, attempt, signal, meter)]);
    const [opened, loaded] = await abortable(Promise.race([work, remote.ended]), attempt.signal);
    meter.finish();
    return [{ ...opened, ...(note === undefined ? {} : { note }), ...loaded, remote }];
  } catch (thrown) {
    stop.abort();
    if (attempt.signal?.aborted === true) {
      remote.close(asError(thrown));
      throw thrown;
    }
    const error = asError(thrown);
    remote.close(error);
    if (device === 'auto' && backend === 'webgpu' && error instanceof DiffCRError && LEFT_TO_CPU.includes(error.code))
      return [undefined, error];
    throw error;
  } finally {
    unlink();
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

/** Starts the module of the device, while the manifest comes in; it is waited for where the choice depends on the model's size. */
async function openEngine(
  remote: Remote,
  device: DeviceChoice,
  { wasmUrl, powerPreference }: Attempt,
  size: () => Promise<number>,
): Promise<ReplyOf<'opened'>> {
  const start = (device: DeviceChoice): Promise<ReplyOf<'opened'>> =>
    remote.call('opened', (id) => ({ id, type: 'open', device, powerPreference, ...(wasmUrl === undefined ? {} : { wasmUrl }) }));
  if (device !== 'auto') return await start(device);
  const { software } = await remote.call('adapter', (id) => ({ id, type: 'adapter', powerPreference }));
  if (software === undefined || !suitsCpu(await size())) return await start(device);
  const note = `WebGPU computes on the CPU here (${software}). The model runs on the CPU build, which is faster for one of its size.`;
  return { ...(await start('cpu')), note };
}

/** Brings the manifest and every chunk to the worker; what the model says of itself. */
async function loadWeights(
  remote: Remote,
  open: Promise<unknown>,
  manifest: Promise<ReadManifest>,
  { files: { urls, key, fetch, store }, concurrency, onWarning, tuning, textEncoder, rememberPrompts }: Attempt,
  signal: AbortSignal,
  meter: ProgressMeter,
): Promise<Pick<Opened, 'info' | 'persisted' | 'prepare'>> {
  const [{ bytes, json, offline }] = await Promise.all([manifest, open]);
  const { summary, files } = await remote.call('manifest', (id) => ({ id, type: 'manifest', json, textEncoder }));
  // Kept before its files, which would otherwise look as if nobody needed them.
  if (!offline) await store?.keepManifest(key, bytes).catch(() => {});
  const persisted = store === undefined ? undefined : askToPersist(summary.totalBytes);
  const bring = async (
    files: readonly FileEntry[],
    more: Pick<ChunkOptions, 'signal' | 'meter' | 'ordered' | 'offline'>,
  ): Promise<void> => {
    more.meter.start(files.reduce((sum, { bytes }) => sum + bytes, 0));
    await fetchChunks(files, {
      address: urls.file,
      fetch,
      concurrency,
      store,
      ...(more.offline === true ? { backoffMs: [] } : {}),
      onWarning,
      deliver: async ({ path }, bytes) => {
        await remote.call('added', (id) => ({ id, type: 'file', path, bytes, hashed: hashes() }), { transfer: [bytes.buffer] });
      },
      ...more,
    });
    throwIfAborted(more.signal);
  };
  await bring(files, { signal, meter, offline });
  const ready = remote.call('ready', (id) => ({ id, type: 'finish', tuning }));
  const [{ info }] = await Promise.all([ready, store?.prune().catch(() => {})]); // while the model is put together
  const answer = await persisted;
  const prepare: Opened['prepare'] = async ({ request, edits }, signal, onLoad) => {
    const { files } = await remote.call('prepared', (id) => ({ id, type: 'prepare', request, edits, remember: rememberPrompts }));
    if (files.length === 0) return;
    const meter = new ProgressMeter((progress) => signal.aborted || onLoad(progress));
    await bring(files, { signal, meter, ordered: true, offline: globalThis.navigator?.onLine === false });
    meter.finish();
  };
  return { info, prepare, ...(answer === undefined ? {} : { persisted: answer }) };
}
