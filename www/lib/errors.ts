/** The one error of the package: a stable code, the data of the failure, and its way across the worker boundary. */

import { CODES, type Code } from './contract.ts';

export { CODES, type Code };

/** What a code needs to be acted on: the file, the field, the limit, the address. */
export type Details = Readonly<Record<string, unknown>>;

export class DiffCRError extends Error {
  override readonly name = 'DiffCRError';
  readonly code: Code;
  readonly details: Details;

  constructor(code: Code, message: string, details: Details = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
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
