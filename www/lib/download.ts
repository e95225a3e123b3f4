/** Bringing a model to the browser without opening it: for a visit to come, or for the next page. */

import { linked, throwIfAborted } from './abort.ts';
import { listedEntries } from './bundle.ts';
import { DiffCRError } from './errors.ts';
import { guarded } from './guard.ts';
import { readFetchSettings, type FetchSettings } from './load_options.ts';
import { filesOf, readManifest } from './manifest.ts';
import type { KeptModel } from './models.ts';
import { ProgressMeter } from './progress.ts';
import { openSource } from './source.ts';
import { fetchChunks } from './weights/chunks.ts';
import { askToPersist } from './weights/persist.ts';

/**
 * Keeps the bundle at `url`, so that `loadModel` opens it without the network. Rejects with `QUOTA` where the browser has no store or refuses.
 */
export function download(url: string | URL, options?: FetchSettings): Promise<KeptModel> {
  let signal: AbortSignal | undefined;
  return guarded(
    async () => {
      const settings = readFetchSettings(options);
      signal = settings.signal;
      throwIfAborted(signal);
      const files = await filesOf(await openSource(url), settings);
      const { store, urls, key } = files;
      const refused = (file: string, bytes: number, cause?: unknown): DiffCRError =>
        new DiffCRError('QUOTA', `${file}: the browser does not keep it`, { file, bytes }, cause);
      if (store === undefined) throw refused('diffcr.json', 0);
      const { controller, unlink } = linked(signal);
      try {
        const meter = new ProgressMeter((progress) => settings.onProgress?.(progress));
        const { bytes, json, offline } = await readManifest(files, controller.signal);
        const entries = listedEntries(json, urls.manifest);
        const total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
        if (!offline) await store.keepManifest(key, bytes);
        await askToPersist(total);
        meter.start(total);
        let warning: DiffCRError | undefined;
        await fetchChunks(entries, {
          address: urls.file,
          fetch: files.fetch,
          signal: controller.signal,
          concurrency: settings.concurrency,
          meter,
          store,
          offline,
          onWarning: (heard) => {
            warning = heard;
            controller.abort(heard);
          },
          deliver: async () => {},
        });
        if (warning !== undefined) throw warning;
        meter.finish();
        const { name, version } = JSON.parse(json) as { name: unknown; version: unknown };
        return { url: key, name: String(name), version: String(version), bytes: total, complete: true };
      } finally {
        unlink();
      }
    },
    () => signal,
  );
}
