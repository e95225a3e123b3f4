/** The last gate before the caller: nothing but a `DiffCRError`, or an abort, leaves a promise of the package. */

import { asError, isAbort } from './errors.ts';

/** What `work` gives; what it throws as an error of ours, but for an abort and the reason of a `signal` that has fired. */
export async function guarded<T>(work: () => T | Promise<T>, signal?: () => AbortSignal | undefined): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const fired = signal?.();
    if (isAbort(thrown) || (fired?.aborted === true && thrown === fired.reason)) throw thrown;
    throw asError(thrown);
  }
}
