/**
 * What a text encoder made of prompts, kept so that a prompt is read once: an encoder that is not loaded is large. Storage that fails is
 * storage that is empty.
 */

import { platformCaches } from './caches.ts';
import type { KnownPrompt } from './wasm.ts';

const CACHE = 'diffcr-prompts';
/** Prompts that are kept, at most; each is up to some megabytes. */
const MOST = 64;

/** The states kept for `ids`, as f16 bits. */
export async function recallPrompt(
  caches: CacheStorage | undefined,
  encoder: string | undefined,
  ids: Uint32Array,
): Promise<Uint16Array | undefined> {
  if (caches === undefined || encoder === undefined) return undefined;
  try {
    const found = await caches.match(addressOf(encoder, ids), { cacheName: CACHE });
    return found === undefined ? undefined : new Uint16Array(await found.arrayBuffer());
  } catch {
    return undefined;
  }
}

/** Keeps a prompt's states; the oldest go where there are too many. */
export async function keepPrompt(caches: CacheStorage | undefined, encoder: string | undefined, prompt: KnownPrompt): Promise<void> {
  if (caches === undefined || encoder === undefined) return;
  try {
    const cache = await caches.open(CACHE);
    await cache.put(addressOf(encoder, prompt.ids), new Response(new Uint16Array(prompt.states)));
    const keys = await cache.keys();
    await Promise.all(keys.slice(0, Math.max(0, keys.length - MOST)).map((key) => cache.delete(key)));
  } catch {
    // not kept
  }
}

/** Forgets every prompt that was kept on this page's origin. */
export async function forgetPrompts(caches = platformCaches()): Promise<void> {
  await caches?.delete(CACHE).catch(() => false);
}

/** A cache's keys are addresses; nothing is ever fetched from this one. */
function addressOf(encoder: string, ids: Uint32Array): string {
  return `https://prompts.invalid/${encoder}?ids=${Array.from(ids).join('.')}`;
}
