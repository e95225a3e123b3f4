/** Small pieces around `AbortSignal`: every promise of the package that waits goes through one of them. */

import { abortError } from './errors.ts';

/** What a promise rejects with whose signal has fired: the signal's own reason, an `AbortError` unless its owner gave another. */
export function reasonOf(signal: AbortSignal): unknown {
  return signal.reason ?? abortError();
}

/** Rejects with the signal's reason as soon as it fires; what `work` does afterwards is its own affair. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- a reason is what its owner made it
    const stop = (): void => reject(reasonOf(signal));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

/** Waits; an abort ends the wait at once. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return abortable(timeout, signal).finally(() => clearTimeout(timer));
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw reasonOf(signal);
}

/** A controller that fires with any of `signals`, for their reason; `unlink` lets go of them. */
export function linked(...signals: (AbortSignal | undefined)[]): { readonly controller: AbortController; readonly unlink: () => void } {
  const controller = new AbortController();
  const links = signals
    .filter((signal) => signal !== undefined)
    .map((signal) => {
      const stop = (): void => controller.abort(reasonOf(signal));
      if (signal.aborted) stop();
      signal.addEventListener('abort', stop, { once: true });
      return (): void => signal.removeEventListener('abort', stop);
    });
  return { controller, unlink: () => links.forEach((unlink) => unlink()) };
}
