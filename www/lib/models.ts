/** What {@link loadModel} keeps in the browser: which models, how large, and how to be rid of them. */

import { bundleKey, resolveBundle } from './bundle.ts';
import { guarded } from './guard.ts';
import { Store, type KeptManifest } from './weights/store.ts';

export interface KeptModel {
  /** Address of its `diffcr.json`, without query. */
  readonly url: string;
  readonly name: string;
  readonly version: string;
  /** Of its files that are here. */
  readonly bytes: number;
  /** All of its files are here: it opens offline. */
  readonly complete: boolean;
}

export const models = {
  /** Every model of which something is kept. */
  list(): Promise<KeptModel[]> {
    return guarded(async () => {
      const store = await Store.open();
      if (store === undefined) return [];
      const [manifests, hashes] = await Promise.all([store.manifests(), store.hashes()]);
      return manifests.map((manifest) => kept(manifest, hashes));
    });
  },

  /** What is kept of the model at `url`, if anything. */
  get(url: string | URL): Promise<KeptModel | undefined> {
    return guarded(async () => {
      const key = bundleKey(resolveBundle(url));
      return (await models.list()).find((model) => model.url === key);
    });
  },

  /** Whether the model at `url` would open offline. */
  async has(url: string | URL): Promise<boolean> {
    return (await models.get(url))?.complete ?? false;
  },

  /** Forgets the model at `url` and the files that no other model shares; whether there was one. */
  remove(url: string | URL): Promise<boolean> {
    return guarded(async () => {
      const key = bundleKey(resolveBundle(url));
      const store = await Store.open();
      const there = (await store?.dropManifest(key)) ?? false;
      await store?.prune();
      return there;
    });
  },

  /** Forgets the files that no kept model lists: what interrupted loads and older versions left. */
  prune(): Promise<void> {
    return guarded(async () => await (await Store.open())?.prune());
  },

  /** Forgets everything. */
  clear(): Promise<void> {
    return guarded(() => Store.clear());
  },
} as const;

function kept({ url, name, version, files }: KeptManifest, hashes: ReadonlySet<string>): KeptModel {
  const here = files.filter(({ sha256 }) => hashes.has(sha256));
  return { url, name, version, bytes: here.reduce((sum, { bytes }) => sum + bytes, 0), complete: here.length === files.length };
}
