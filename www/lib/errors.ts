/** The one error of the package: a stable code, the data of the failure, and its way across the worker boundary. */

import { CODES, type Code } from './contract.ts';

export { CODES, type Code };

/** What a code needs to be acted on: the file, the field, the limit, the address. {@link DetailsOf} has it by code. */
export type Details = Readonly<Record<string, unknown>>;

/** The `details` of each code. */
export interface DetailsOf {
  readonly WEBGPU_UNAVAILABLE: { readonly secureContext?: boolean; readonly reason?: string };
  readonly NO_ADAPTER: { readonly reason?: string };
  readonly WORKER: { readonly url: string; readonly remedy: string };
  readonly LIMIT_TOO_SMALL: { readonly limit: string; readonly needed: number; readonly available: number };
  readonly OUT_OF_MEMORY: { readonly needed: number; readonly available: number; readonly width?: number; readonly height?: number };
  readonly DEVICE_LOST: { readonly reason?: string };
  /** `reason`: what of the file is wrong; `pinned`: the hash that `integrity` asked for. */
  readonly INTEGRITY: { readonly file: string; readonly reason?: string; readonly url?: string; readonly pinned?: string };
  /** `remedy`: the likely cause, where nothing came back from another origin. */
  readonly NETWORK: {
    readonly url: string;
    readonly attempts?: number;
    readonly status?: number;
    readonly contentType?: string;
    readonly remedy?: string;
  };
  readonly QUOTA: { readonly file: string; readonly bytes: number };
  readonly OFFLINE_MISS: { readonly file: string; readonly url: string };
  readonly MANIFEST_INVALID: { readonly url?: string };
  readonly MANIFEST_VERSION: { readonly found: number; readonly supported: number };
  readonly MODEL_INVALID: { readonly name: string; readonly reason: string };
  readonly NOT_FINITE: { readonly what: string; readonly step: number; readonly total: number };
  readonly BUSY: { readonly busy: 'replace' | 'reject' };
  readonly DISPOSED: { readonly reason?: string };
  /** `nearest`: the option that an unknown one was probably meant to be. */
  readonly INVALID_INPUT: { readonly field: string; readonly reason?: string; readonly nearest?: string };
  readonly INTERNAL: { readonly reason?: string };
}

export class DiffCRError extends Error {
  override readonly name = 'DiffCRError';
  readonly code: Code;
  readonly details: Details;

  constructor(code: Code, message: string, details: Details = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }

  /** Whether `error` is one of ours with that code, whose details then have their type. */
  static is<C extends Code>(error: unknown, code: C): error is DiffCRError & { readonly code: C; readonly details: DetailsOf[C] } {
    return error instanceof DiffCRError && error.code === code;
  }
}

/** An error as plain data, for `postMessage`. */
export type WireError =
  | { readonly kind: 'abort' }
  | { readonly kind: 'error'; readonly code: Code; readonly message: string; readonly details: Details; readonly cause?: string };

/** What every promise rejects with when its signal fires. */
export function abortError(message = 'The operation was aborted'): DOMException {
  return new DOMException(message, 'AbortError');
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

/**
 * Any thrown value as a {@link DiffCRError}, or as the `AbortError` that it is. A code that the package does not know,
 * and a value that is no error of ours at all, become `INTERNAL` with the original as `cause`.
 */
export function asError(thrown: unknown): DiffCRError | DOMException {
  if (thrown instanceof DiffCRError) return thrown;
  if (thrown instanceof DOMException && thrown.name === 'AbortError') return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const code = property(thrown, 'code');
  if (code === 'CANCELLED') return abortError(message);
  const known = CODES.find((each) => each === code);
  return new DiffCRError(known ?? 'INTERNAL', message, asDetails(property(thrown, 'details')), thrown);
}

/** Plain data that {@link fromWire} turns back into the same error on the other side. */
export function toWire(thrown: unknown): WireError {
  const error = asError(thrown);
  if (!(error instanceof DiffCRError)) return { kind: 'abort' };
  const { code, message } = error;
  const wire = { kind: 'error', code, message, details: cloneable(error.details) } as const;
  return error.cause === undefined
    ? wire
    : { ...wire, cause: error.cause instanceof Error ? String(error.cause) : JSON.stringify(error.cause) };
}

export function fromWire(wire: WireError): DiffCRError | DOMException {
  return wire.kind === 'abort' ? abortError() : new DiffCRError(wire.code, wire.message, wire.details, wire.cause);
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function asDetails(value: unknown): Details {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

/** Details hold plain data; whatever could not cross as such goes as text. */
function cloneable(details: Details): Details {
  try {
    return structuredClone(details);
  } catch {
    return Object.fromEntries(Object.entries(details).map(([key, value]) => [key, String(value)]));
  }
}
