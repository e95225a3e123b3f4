/** One file over HTTP: streamed with progress, tried again on network faults and 5xx, never on 4xx. Hands on its bytes. */

import { abortable, sleep, throwIfAborted } from '../abort.ts';
import { DiffCRError, isAbort } from '../errors.ts';

/** The part of the platform's `fetch` that the package uses. */
export type Fetch = (input: string, init: RequestInit) => Promise<Response>;

export interface FetchOptions {
  readonly fetch: Fetch;
  readonly signal: AbortSignal;
  /** What the manifest says; a longer reply is cut there and is then a damaged one. */
  readonly expectedBytes?: number;
  /** Past the browser's HTTP cache. @default false */
  readonly fresh?: boolean;
  /** Bytes of this attempt so far. */
  readonly onBytes?: (bytes: number) => void;
  /** Waits before the second, third … attempt, in ms. @default [300, 1000, 3000] */
  readonly backoffMs?: readonly number[];
}

const BACKOFF_MS: readonly number[] = [300, 1000, 3000];

/** Rejects with `NETWORK` (`details`: `url`, `attempts`, `status` where there is one) or `AbortError`. */
export async function fetchBytes(url: string, options: FetchOptions): Promise<Uint8Array<ArrayBuffer>> {
  const waits = options.backoffMs ?? BACKOFF_MS;
  for (let attempt = 1; ; attempt += 1) {
    throwIfAborted(options.signal);
    const outcome = await once(url, options, attempt);
    if (outcome instanceof Uint8Array) return outcome;
    const wait = waits[attempt - 1];
    if (!outcome.again || wait === undefined) throw outcome.error;
    await sleep(wait * (0.75 + Math.random() / 2), options.signal);
  }
}

interface Failure {
  readonly error: DiffCRError;
  readonly again: boolean;
}

async function once(url: string, options: FetchOptions, attempts: number): Promise<Uint8Array<ArrayBuffer> | Failure> {
  const { fetch, signal } = options;
  const failure = (reason: string, again: boolean, details: object = {}, cause?: unknown): Failure => ({
    error: new DiffCRError('NETWORK', `${url}: ${reason}`, { url, attempts, ...details }, cause),
    again,
  });
  try {
    const response = await abortable(fetch(url, options.fresh === true ? { signal, cache: 'reload' } : { signal }), signal);
    if (!response.ok) {
      await response.body?.cancel().catch(() => {});
      return failure(`the server answered ${response.status}`, response.status >= 500, { status: response.status });
    }
    const type = response.headers.get('content-type') ?? '';
    if (/^text\/html\b/i.test(type.trim())) {
      await response.body?.cancel().catch(() => {});
      return failure('an HTML page came back instead of the file', false, { status: response.status, contentType: type });
    }
    return await read(response, options);
  } catch (cause) {
    if (isAbort(cause) || signal.aborted) throwIfAborted(signal);
    return failure('the connection failed', true, {}, cause);
  }
}

/** One buffer where the length is promised; at most one byte beyond the promise is kept, enough to see that the reply is too long. */
async function read(response: Response, options: FetchOptions): Promise<Uint8Array<ArrayBuffer>> {
  const { signal, expectedBytes, onBytes } = options;
  const { body } = response;
  if (body === null) return new Uint8Array(await abortable(response.arrayBuffer(), signal));
  const promised = expectedBytes === undefined ? undefined : new Uint8Array(expectedBytes + 1);
  const direct = promised === undefined ? undefined : byteReader(body);
  if (promised !== undefined && direct !== undefined) return await fill(promised, direct, options);
  const pieces: Uint8Array[] = [];
  let length = 0;
  const reader = body.getReader();
  try {
    while (promised === undefined || length < promised.length) {
      const { done, value } = await abortable(reader.read(), signal);
      if (done) break;
      if (promised === undefined) pieces.push(value);
      else promised.set(value.subarray(0, promised.length - length), length);
      length += value.byteLength;
      onBytes?.(length);
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
  return promised?.subarray(0, length) ?? concat(pieces, length);
}

/** Reads into `bytes` itself, which every read takes and gives back: the pieces of a plain stream would wait for the collector. */
async function fill(
  bytes: Uint8Array<ArrayBuffer>,
  reader: ReadableStreamBYOBReader,
  { signal, onBytes }: FetchOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  let length = 0;
  try {
    while (length < bytes.length) {
      const { done, value } = await abortable(reader.read(bytes.subarray(length)), signal);
      if (value !== undefined) bytes = new Uint8Array(value.buffer);
      if (done) break;
      length += value.byteLength;
      onBytes?.(length);
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
  return bytes.subarray(0, length);
}

/** Where the body is a stream of bytes, which is up to the platform and to an injected `fetch`. */
function byteReader(body: ReadableStream<Uint8Array>): ReadableStreamBYOBReader | undefined {
  try {
    return body.getReader({ mode: 'byob' });
  } catch {
    return undefined;
  }
}

function concat(pieces: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  return bytes;
}
