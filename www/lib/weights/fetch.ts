/** One file over HTTP: streamed with progress, tried again on network faults, stalls, 408, 429 and 5xx, never on other 4xx. */

import { abortable, linked, sleep, throwIfAborted } from '../abort.ts';
import { DiffCRError } from '../errors.ts';

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
  /** The body stands still for {@link slowMs}. */
  readonly onStall?: () => void;
  /** After how long without a byte that is told. @default 10000 */
  readonly slowMs?: number;
  /** How long the body may stand still, before the file is asked for again. @default 20000 */
  readonly stallMs?: number;
  /** The most that is read of a file of unknown length. @default 67108864 */
  readonly limitBytes?: number;
  /** Waits before the second, third … attempt, in ms. @default [300, 1000, 3000] */
  readonly backoffMs?: readonly number[];
}

const BACKOFF_MS: readonly number[] = [300, 1000, 3000];
const SLOW_MS = 10_000;
const STALL_MS = 20_000;
const LIMIT_BYTES = 2 ** 26;
/** The most that a server may ask to wait. */
const MAX_RETRY_AFTER_MS = 60_000;

/** Rejects with `NETWORK` (`details`: `url`, `attempts`, `status` where there is one) or `AbortError`. */
export async function fetchBytes(url: string, options: FetchOptions): Promise<Uint8Array<ArrayBuffer>> {
  const waits = options.backoffMs ?? BACKOFF_MS;
  for (let attempt = 1; ; attempt += 1) {
    throwIfAborted(options.signal);
    const outcome = await once(url, options, attempt);
    if (outcome instanceof Uint8Array) return outcome;
    const wait = waits[attempt - 1];
    if (!outcome.again || wait === undefined) throw outcome.error;
    await sleep(outcome.afterMs ?? wait * (0.75 + Math.random() / 2), options.signal);
  }
}

interface Failure {
  readonly error: DiffCRError;
  readonly again: boolean;
  /** When the server wants to be asked again. */
  readonly afterMs?: number | undefined;
}

async function once(url: string, options: FetchOptions, attempts: number): Promise<Uint8Array<ArrayBuffer> | Failure> {
  const { fetch } = options;
  const { controller, unlink } = linked(options.signal);
  const { signal } = controller;
  let stalled = false;
  let patience: ReturnType<typeof setTimeout> | undefined;
  let concern: ReturnType<typeof setTimeout> | undefined;
  const moved = (): void => {
    clearTimeout(concern);
    clearTimeout(patience);
    concern = setTimeout(() => options.onStall?.(), options.slowMs ?? SLOW_MS);
    patience = setTimeout(() => {
      stalled = true;
      controller.abort();
    }, options.stallMs ?? STALL_MS);
  };
  const onBytes = (bytes: number): void => {
    moved();
    options.onBytes?.(bytes);
  };
  const failure = (reason: string, again: boolean, details: object = {}, cause?: unknown): Failure => ({
    error: new DiffCRError('NETWORK', `${url}: ${reason}`, { url, attempts, ...details }, cause),
    again,
  });
  try {
    moved();
    const response = await abortable(fetch(url, options.fresh === true ? { signal, cache: 'reload' } : { signal }), signal);
    if (!response.ok) {
      await response.body?.cancel().catch(() => {});
      const { status } = response;
      const again = status >= 500 || status === 408 || status === 429;
      return { ...failure(`the server answered ${status}`, again, { status }), afterMs: again ? retryAfter(response) : undefined };
    }
    const type = response.headers.get('content-type') ?? '';
    if (/^text\/html\b/i.test(type.trim())) {
      await response.body?.cancel().catch(() => {});
      return failure('an HTML page came back instead of the file', false, { status: response.status, contentType: type });
    }
    return await read(response, { ...options, signal, onBytes });
  } catch (cause) {
    throwIfAborted(options.signal);
    if (cause instanceof TooLong) return failure(cause.message, false);
    if (stalled) return failure('the server stopped sending', true, {}, cause);
    const remedy = likelyCause(url);
    const hint = remedy === undefined ? '' : `. ${remedy}`;
    return failure(`the connection failed${hint}`, true, remedy === undefined ? {} : { remedy }, cause);
  } finally {
    clearTimeout(concern);
    clearTimeout(patience);
    unlink();
  }
}

/** Seconds, or a date; undefined where the server does not say. */
function retryAfter(response: Response): number | undefined {
  const header = response.headers.get('retry-after');
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? 1000 * Number(header) : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
}

/** Browsers do not say why an answer of another origin was withheld. */
function likelyCause(url: string): string | undefined {
  const origin: string | undefined = globalThis.origin ?? globalThis.location?.origin;
  if (origin === undefined || !/^https?:/.test(url) || new URL(url).origin === origin) return undefined;
  if (globalThis.navigator?.onLine === false) return undefined;
  const embedder = globalThis.crossOriginIsolated ? ' and Cross-Origin-Resource-Policy (this page sets COEP)' : '';
  return `The host is another origin: it must send Access-Control-Allow-Origin${embedder}, and the page's connect-src must allow it.`;
}

/** A body that goes on beyond what any such file has. */
class TooLong extends Error {}

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
      const limit = options.limitBytes ?? LIMIT_BYTES;
      if (promised === undefined && length > limit) throw new TooLong(`it goes on beyond ${limit} bytes, which no manifest has`);
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
