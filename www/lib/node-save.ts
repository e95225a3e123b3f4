/** A bundle into a folder of a site: every file checked, none half there. */

import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { linked, throwIfAborted } from './abort.ts';
import { listedEntries } from './bundle.ts';
import { DiffCRError } from './errors.ts';
import type { CheckedFetch } from './load_options.ts';
import { filesOf, readManifest } from './manifest.ts';
import { invalid } from './options.ts';
import { ProgressMeter } from './progress.ts';
import type { FileEntry } from './protocol.ts';
import { openSource } from './source.ts';
import { fetchChunks } from './weights/chunks.ts';
import { verify } from './weights/verify.ts';

/** A bundle that lies in a folder. */
export interface SavedModel {
  readonly folder: string;
  readonly name: string;
  readonly version: string;
  readonly files: number;
  readonly bytes: number;
  /** Of them, those that were there already. */
  readonly keptBytes: number;
}

const MANIFEST = 'diffcr.json';

/**
 * Puts the bundle at `source` into `folder`. What is there already with the right hash stays as it is, so that a stopped call goes on where
 * it was; the manifest comes last, so that a folder that has one is whole. A folder's earlier bundle gives way, other files in it stay.
 */
export async function saveModel(source: string, folder: string, settings: CheckedFetch): Promise<SavedModel> {
  const { controller, unlink } = linked(settings.signal);
  throwIfAborted(settings.signal);
  try {
    const files = await filesOf(await openSource(source), { ...settings, cache: 'none' });
    const meter = new ProgressMeter((progress) => settings.onProgress?.(progress));
    const { bytes: manifest, json } = await readManifest(files, controller.signal);
    const entries = listedEntries(json, files.urls.manifest);
    const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    const before = await earlier(folder);
    await mkdir(folder, { recursive: true });
    const here = await there(folder, entries);
    // Until the new one is whole, the folder holds none; an equal one is left alone.
    if (before !== undefined && here.size < entries.length) await rm(join(folder, MANIFEST));
    meter.start(bytes);
    for (const entry of here) {
      meter.cached(entry.path, entry.bytes);
      meter.verified(entry.path, entry.bytes);
      meter.uploaded(entry.path, entry.bytes);
    }
    await fetchChunks(
      entries.filter((entry) => !here.has(entry)),
      {
        address: files.urls.file,
        fetch: files.fetch,
        signal: controller.signal,
        concurrency: settings.concurrency,
        meter,
        deliver: async ({ path }, bytes) => await write(join(folder, path), bytes),
      },
    );
    await write(join(folder, MANIFEST), manifest);
    const listed = new Set(entries.map(({ path }) => path));
    const stale = (before ?? []).filter((path) => !listed.has(path));
    await Promise.all(stale.map((path) => rm(join(folder, path), { force: true })));
    meter.finish();
    const { name, version } = JSON.parse(json) as { name: unknown; version: unknown };
    const keptBytes = [...here].reduce((sum, entry) => sum + entry.bytes, 0);
    return { folder, name: String(name), version: String(version), files: entries.length, bytes, keptBytes };
  } finally {
    unlink();
  }
}

/** Paths of the files of the bundle in `folder`; undefined where there is none. */
async function earlier(folder: string): Promise<string[] | undefined> {
  const found = await stat(folder).catch(() => undefined);
  if (found !== undefined && !found.isDirectory()) throw invalid('folder', `${folder} is no folder`);
  const json = await readFile(join(folder, MANIFEST), 'utf8').catch(() => undefined);
  if (json === undefined) return undefined;
  try {
    return listedEntries(json, MANIFEST).map(({ path }) => path);
  } catch {
    return []; // no manifest of ours can be read there: nothing is known to be stale
  }
}

/** The entries whose files lie in `folder`, undamaged. */
async function there(folder: string, entries: readonly FileEntry[]): Promise<Set<FileEntry>> {
  const found = new Set<FileEntry>();
  for (const entry of entries) {
    const path = join(folder, entry.path);
    const size = (await stat(path).catch(() => undefined))?.size;
    if (size === entry.bytes && (await verify(new Uint8Array(await readFile(path)), entry)) === undefined) found.add(entry);
  }
  return found;
}

/** Whole or not at all. */
async function write(path: string, bytes: Uint8Array): Promise<void> {
  const part = `${path}.${randomUUID()}.part`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(part, bytes, { flag: 'wx' });
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw new DiffCRError('QUOTA', `${path} cannot be written: ${String(error)}`, { file: path, bytes: bytes.length }, error);
  }
}
