/**
 * The files of a bundle, from the browser's cache or fetched in parallel, verified, and handed on one by one; a damaged one is fetched
 * again once.
 */

import { abortable, linked, throwIfAborted } from '../abort.ts';
import { DiffCRError } from '../errors.ts';
import type { ProgressMeter } from '../progress.ts';
import type { FileEntry } from '../protocol.ts';
import { fetchBytes, type FetchOptions } from './fetch.ts';
import type { Store } from './store.ts';
import { verify } from './verify.ts';

export interface ChunkOptions extends Pick<FetchOptions, 'fetch' | 'backoffMs'> {
  /** Address of a file, by its path in the bundle. */
  readonly address: (path: string) => string;
  readonly signal: AbortSignal;
  readonly concurrency: number;
  readonly meter: ProgressMeter;
  /** Where verified files are looked for, and kept. */
  readonly store?: Store | undefined;
  /** The network is gone: a file that is not kept is `OFFLINE_MISS`. */
  readonly offline?: boolean;
  /** Hears once that files cannot be kept; loading goes on. */
  readonly onWarning?: ((warning: DiffCRError) => void) | undefined;
  /** Whether files are handed on one by one, in the order of the entries. @default false */
  readonly ordered?: boolean;
  /** Takes the bytes; the place of the chunk is given to the next one when the promise settles. */
  readonly deliver: (entry: FileEntry, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
}

/** At most `concurrency` chunks are held at a time. The first failure stops all the others. */
export async function fetchChunks(entries: readonly FileEntry[], options: ChunkOptions): Promise<void> {
  const { controller: stop, unlink } = linked(options.signal);
  const { signal } = stop;
  const keeper = new Keeper(options);
  const waiting = entries.values();
  let before: Promise<void> = Promise.resolve();
  const lane = async (): Promise<void> => {
    for (const entry of waiting) {
      throwIfAborted(signal);
      const turn = before;
      let passOn = (): void => {};
      before = new Promise((resolve) => {
        passOn = resolve;
      });
      const kept = await keeper.find(entry);
      const bytes = kept ?? (await fetchChunk(entry, { ...options, signal }));
      if (kept !== undefined) options.meter.cached(entry.path, entry.bytes);
      options.meter.verified(entry.path, entry.bytes);
      // Copied before it is handed on, written while it is.
      const keeping = kept === undefined ? keeper.keep(entry, bytes) : undefined;
      if (options.ordered === true) await abortable(turn, signal);
      await options.deliver(entry, bytes);
      passOn();
      await keeping;
      options.meter.uploaded(entry.path, entry.bytes);
    }
  };
  const lanes = Array.from({ length: Math.min(options.concurrency, entries.length) }, lane);
  try {
    await Promise.all(lanes);
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(lanes);
    throw error;
  } finally {
    unlink();
  }
}

async function fetchChunk(entry: FileEntry, options: ChunkOptions): Promise<Uint8Array<ArrayBuffer>> {
  const url = options.address(entry.path);
  const attempt = async (fresh: boolean): Promise<Uint8Array<ArrayBuffer> | string> => {
    const bytes = await fetchBytes(url, {
      ...options,
      fresh,
      expectedBytes: entry.bytes,
      onBytes: (bytes) => options.meter.received(entry.path, bytes),
      onStall: () => options.meter.stalled(entry.path),
    });
    return (await verify(bytes, entry)) ?? bytes;
  };
  const first = await attempt(false).catch((error: unknown) => {
    if (options.offline !== true || options.signal.aborted) throw error;
    throw new DiffCRError(
      'OFFLINE_MISS',
      `${entry.path}: it is not kept in this browser, and the network is gone`,
      { file: entry.path, url },
      error,
    );
  });
  if (typeof first !== 'string') return first;
  const second = await attempt(true);
  if (typeof second !== 'string') return second;
  throw new DiffCRError('INTEGRITY', `${entry.path}: ${second}`, { file: entry.path, url, reason: second });
}

/** A store that may fail: then files are fetched as if there were none. */
class Keeper {
  readonly #onWarning: ((warning: DiffCRError) => void) | undefined;
  #store: Store | undefined;

  constructor({ store, onWarning }: ChunkOptions) {
    this.#store = store;
    this.#onWarning = onWarning;
  }

  /** The file as it was kept; what is kept and damaged is dropped. */
  async find(entry: FileEntry): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const store = this.#store;
    try {
      const bytes = await store?.file(entry);
      if (bytes === undefined || (await verify(bytes, entry)) === undefined) return bytes;
      await store?.dropFile(entry);
    } catch {
      // as good as not kept
    }
    return undefined;
  }

  async keep(entry: FileEntry, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      await this.#store?.keepFile(entry, bytes);
    } catch (cause) {
      if (this.#store === undefined) return; // another file has told
      this.#store = undefined;
      this.#onWarning?.(
        new DiffCRError(
          'QUOTA',
          `${entry.path}: the browser does not keep it: ${String(cause)}`,
          { file: entry.path, bytes: entry.bytes },
          cause,
        ),
      );
    }
  }
}
