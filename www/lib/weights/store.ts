/** Verified files that stay in the browser between visits, each under its hash: a model is fetched once, and opens offline. */

import { platformCaches } from '../caches.ts';
import type { FileEntry } from '../protocol.ts';

const CACHE = 'diffcr-web';
/** Addresses that no server answers, as keys. */
const FILE = 'https://diffcr-web.invalid/sha256/';
const MANIFEST = 'https://diffcr-web.invalid/manifest?of=';

/** A manifest that was kept: of which address, and what it lists. */
export interface KeptManifest {
  readonly url: string;
  readonly name: string;
  readonly version: string;
  readonly files: readonly FileEntry[];
}

/** Of the platform's `Cache` what is used: a store of the caller's own has these. */
export type CacheLike = Pick<Cache, 'match' | 'put' | 'delete' | 'keys'>;

/** The browser's own cache of this origin. Its methods reject where the browser refuses, out of quota for one. */
export class Store {
  readonly #cache: CacheLike;

  private constructor(cache: CacheLike) {
    this.#cache = cache;
  }

  /** Undefined where the browser has none: on pages over plain http, in some private windows. */
  static async open(own?: CacheLike): Promise<Store | undefined> {
    if (own !== undefined) return new Store(own);
    try {
      const cache = await platformCaches()?.open(CACHE);
      return cache === undefined ? undefined : new Store(cache);
    } catch {
      return undefined;
    }
  }

  /** Forgets everything. */
  static async clear(): Promise<void> {
    await platformCaches()?.delete(CACHE);
  }

  /** The bytes kept under the file's hash; whether they are still right is for the caller to see. */
  async file({ sha256 }: FileEntry): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return await this.#read(FILE + sha256);
  }

  async keepFile({ sha256 }: FileEntry, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#cache.put(FILE + sha256, new Response(bytes));
  }

  async dropFile({ sha256 }: FileEntry): Promise<void> {
    await this.#cache.delete(FILE + sha256);
  }

  async manifest(url: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return await this.#read(MANIFEST + encodeURIComponent(url));
  }

  async keepManifest(url: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#cache.put(MANIFEST + encodeURIComponent(url), new Response(bytes));
  }

  async dropManifest(url: string): Promise<boolean> {
    return await this.#cache.delete(MANIFEST + encodeURIComponent(url));
  }

  /** Every manifest that is kept and can still be read. */
  async manifests(): Promise<KeptManifest[]> {
    const urls = await this.#names(MANIFEST);
    const read = urls.map(async (name): Promise<KeptManifest[]> => {
      const url = decodeURIComponent(name);
      const bytes = await this.manifest(url);
      try {
        const { name, version, files } = JSON.parse(new TextDecoder().decode(bytes)) as Partial<Record<string, unknown>>;
        return Array.isArray(files) ? [{ url, name: String(name), version: String(version), files }] : [];
      } catch {
        return [];
      }
    });
    return (await Promise.all(read)).flat();
  }

  /** Hashes of the files that are kept. */
  async hashes(): Promise<Set<string>> {
    return new Set(await this.#names(FILE));
  }

  /** Drops the files that no kept manifest lists: of versions that are gone, and of loads that never ended. */
  async prune(): Promise<void> {
    const listed = new Set((await this.manifests()).flatMap(({ files }) => files.map(({ sha256 }) => sha256)));
    const loose = [...(await this.hashes())].filter((hash) => !listed.has(hash));
    await Promise.all(loose.map((hash) => this.#cache.delete(FILE + hash)));
  }

  async #read(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const response = await this.#cache.match(key);
    return response === undefined ? undefined : new Uint8Array(await response.arrayBuffer());
  }

  async #names(prefix: string): Promise<string[]> {
    const keys = await this.#cache.keys();
    return keys
      .map(({ url }) => url)
      .filter((url) => url.startsWith(prefix))
      .map((url) => url.slice(prefix.length));
  }
}
