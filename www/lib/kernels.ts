/** What kernels were timed at, kept for the next load of the same model on the same adapter. Storage that fails is storage that is empty. */

import { platformCaches } from './caches.ts';

/** What kernels of large models may round to where that is faster on this device. */
export type Precision = 'exact' | 'half' | 'int8';

/** How a model finds its kernels. */
export interface Tuning {
  readonly precision: Precision;
  /** Whether to take over what was timed before, and to keep what is timed now. */
  readonly remember: boolean;
  /** What timing may take; by default it depends on how long loading took. */
  readonly budgetMs?: number;
}

/** Of `GPUAdapterInfo`, what tells one adapter from another. */
export interface AdapterName {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
}

/** What timings hold for. */
export interface Conditions {
  /** Of the package. */
  readonly version: string;
  readonly adapter: AdapterName;
  /** The bundle's version, which changes with its content. */
  readonly model: string;
  readonly precision: Precision;
}

/** Names of caches: one for each version of the package. */
const PREFIX = 'diffcr-kernels-';
const PATIENCE_MS = 1000;

/** The timings kept for `conditions`. */
export async function recallKernels(caches: CacheStorage | undefined, conditions: Conditions): Promise<string | undefined> {
  const address = addressOf(conditions);
  if (caches === undefined || address === undefined) return undefined;
  return await withTimeout(async () => {
    const found = await caches.match(address, { cacheName: PREFIX + conditions.version });
    return await found?.text();
  });
}

/** Keeps `timings` for `conditions`, and nothing of other versions of the package. */
export async function keepKernels(caches: CacheStorage | undefined, conditions: Conditions, timings: string): Promise<void> {
  const address = addressOf(conditions);
  if (caches === undefined || address === undefined) return;
  await withTimeout(async () => {
    const name = PREFIX + conditions.version;
    const cache = await caches.open(name);
    await cache.put(address, new Response(timings));
    await removeExcept(caches, name);
  });
}

/** Forgets what kernels were timed at on this page's origin: the next load of each model times them again. */
export async function forgetKernels(caches = platformCaches()): Promise<void> {
  if (caches !== undefined) await removeExcept(caches, undefined);
}

async function removeExcept(caches: CacheStorage, kept: string | undefined): Promise<void> {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== kept).map((name) => caches.delete(name)));
}

/** What storage answers; undefined where it fails, or takes longer than a load should wait for it. */
async function withTimeout<T>(ask: () => Promise<T>): Promise<T | undefined> {
  const late = new Promise<undefined>((resolve) => setTimeout(resolve, PATIENCE_MS));
  return await Promise.race([ask().catch(() => undefined), late]);
}

/** A cache's keys are addresses; nothing is ever fetched from this one. Undefined for an adapter that does not say what it is. */
function addressOf({ adapter, model, precision }: Conditions): string | undefined {
  const { vendor, architecture, device, description } = adapter;
  if (`${vendor}${architecture}${device}${description}` === '') return undefined;
  return `https://kernels.invalid/?${new URLSearchParams({ vendor, architecture, device, description, model, precision })}`;
}
