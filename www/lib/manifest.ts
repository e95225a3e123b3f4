/** The manifest of a bundle: from the network, and where that is gone from what was kept. */

import { bundleKey, type BundleUrls } from './bundle.ts';
import { DiffCRError } from './errors.ts';
import type { CheckedFetch } from './load_options.ts';
import { platform } from './platform.ts';
import type { OpenSource } from './source.ts';
import { dataOf } from './weights/data_url.ts';
import { fetchBytes, type Fetch } from './weights/fetch.ts';
import { Store } from './weights/store.ts';
import { sha256 } from './weights/verify.ts';

/** Where a bundle is read from and kept. */
export interface Files {
  readonly urls: BundleUrls;
  /** The manifest's name in the store. */
  readonly key: string;
  readonly fetch: Fetch;
  readonly store: Store | undefined;
  readonly integrity: string | undefined;
}

export interface ReadManifest {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly json: string;
  /** It is the one that was kept. */
  readonly offline: boolean;
}

/** Files that the page holds are not kept a second time. */
export async function filesOf(source: OpenSource, { fetch, init, cache, integrity }: CheckedFetch): Promise<Files> {
  const { urls } = source;
  const network = source.fetch ?? fetch ?? platform.fetch;
  const plain: Fetch = async (url, more) => {
    const inlined = dataOf(url);
    return inlined === undefined ? await network(url, more) : new Response(inlined);
  };
  const withInit: Fetch = (url, more) => plain(url, { ...(typeof init === 'function' ? init(url) : init), ...more });
  const kept = source.fetch === undefined && cache !== 'none';
  const store = kept ? await Store.open(cache === 'auto' ? undefined : cache) : undefined;
  return { urls, key: bundleKey(urls), fetch: init === undefined ? plain : withInit, store, integrity };
}

/**
 * Rejects with `NETWORK` where neither network nor store has it, and with `INTEGRITY` where it is not the one that was pinned.
 */
export async function readManifest({ urls, key, fetch, store, integrity }: Files, signal: AbortSignal): Promise<ReadManifest> {
  const read = async (bytes: Uint8Array<ArrayBuffer>, offline: boolean): Promise<ReadManifest> => {
    const found = integrity === undefined ? undefined : await sha256(bytes);
    if (integrity !== undefined && found !== integrity) {
      const reason = found === undefined ? 'this page has no WebCrypto to check it with' : `its SHA-256 is ${found}`;
      throw new DiffCRError('INTEGRITY', `diffcr.json is not the one that was pinned: ${reason}`, {
        file: 'diffcr.json',
        reason,
        url: urls.manifest,
        pinned: integrity,
      });
    }
    return { bytes, json: new TextDecoder().decode(bytes), offline };
  };
  // Nothing is gained by trying again and again where the browser knows that it is offline.
  const backoffMs = globalThis.navigator?.onLine === false ? { backoffMs: [] } : {};
  try {
    return await read(await fetchBytes(urls.manifest, { fetch, signal, ...backoffMs }), false);
  } catch (error) {
    const unanswered = DiffCRError.is(error, 'NETWORK') && error.details.status === undefined;
    const kept = unanswered ? await store?.manifest(key).catch(() => undefined) : undefined;
    if (kept === undefined) throw error;
    return await read(kept, true);
  }
}
