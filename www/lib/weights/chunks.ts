/** The files of a bundle, fetched in parallel, verified, and handed on one by one; a damaged one is fetched again once. */

import { throwIfAborted } from '../abort.ts';
import { DiffCRError } from '../errors.ts';
import type { ProgressMeter } from '../progress.ts';
import type { FileEntry } from '../protocol.ts';
import { fetchBytes, type FetchOptions } from './fetch.ts';
import { verify } from './verify.ts';

export interface ChunkOptions extends Pick<FetchOptions, 'fetch' | 'backoffMs'> {
  /** Address of the bundle, ending in `/`. */
  readonly base: string;
  readonly signal: AbortSignal;
  readonly concurrency: number;
  readonly meter: ProgressMeter;
  /** Takes the bytes; the place of the chunk is given to the next one when the promise settles. */
  readonly deliver: (entry: FileEntry, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
}

/** At most `concurrency` chunks are held at a time. The first failure stops all the others. */
export async function fetchChunks(entries: readonly FileEntry[], options: ChunkOptions): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const waiting = entries.values();
  const lane = async (): Promise<void> => {
    for (const entry of waiting) {
      throwIfAborted(signal);
      const bytes = await fetchChunk(entry, { ...options, signal });
      options.meter.verified(entry.path, entry.bytes);
      await options.deliver(entry, bytes);
      options.meter.uploaded(entry.path, entry.bytes);
    }
  };
  const lanes = Array.from({ length: Math.min(options.concurrency, entries.length) }, lane);
  try {
    await Promise.all(lanes);
  } catch (error) {
    stop.abort();
    await Promise.allSettled(lanes);
    throw error;
  }
}

async function fetchChunk(entry: FileEntry, options: ChunkOptions): Promise<Uint8Array<ArrayBuffer>> {
  const url = new URL(entry.path, options.base).href;
  const attempt = async (fresh: boolean): Promise<Uint8Array<ArrayBuffer> | string> => {
    const bytes = await fetchBytes(url, {
      ...options,
      fresh,
      expectedBytes: entry.bytes,
      onBytes: (bytes) => options.meter.received(entry.path, bytes),
    });
    return (await verify(bytes, entry)) ?? bytes;
  };
  const first = await attempt(false);
  if (typeof first !== 'string') return first;
  const second = await attempt(true);
  if (typeof second !== 'string') return second;
  throw new DiffCRError('INTEGRITY', `${entry.path}: ${second}`, { file: entry.path, url, reason: second });
}
