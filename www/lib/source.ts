/** Where a model comes from: an address, or files that the page holds, which are then read as if a server sent them. */

import { addressed, resolveBundle, type BundleAddresses, type BundleUrls } from './bundle.ts';
import { invalid } from './options.ts';
import type { Fetch } from './weights/fetch.ts';
import { unzip } from './weights/zip.ts';

/** Of a `FileSystemDirectoryHandle` what is used. */
export interface DirectoryHandle {
  readonly kind: 'directory';
  readonly name: string;
  getDirectoryHandle(name: string): Promise<DirectoryHandle>;
  getFileHandle(name: string): Promise<{ getFile(): Promise<Blob> }>;
}

/**
 * A bundle: the address of its folder or `diffcr.json`, `hf:OWNER/NAME@REVISION/FOLDER`, the files of its folder (of an `<input
 * webkitdirectory>`, say), a handle of it, a zip of it, or the addresses of its files by their paths.
 */
export type ModelSource = string | URL | Blob | ArrayLike<Blob> | DirectoryHandle | BundleAddresses;

/** A bundle, ready to be asked for its files. */
export interface OpenSource {
  readonly urls: BundleUrls;
  /** Reads files that are here; absent where they are fetched. */
  readonly fetch?: Fetch;
}

/** A file of the bundle, by its path in it. */
type ReadFile = (path: string) => Promise<Blob | undefined>;

/** An address that no server answers. */
const LOCAL = 'https://diffcr-web.invalid/local/';

/** Rejects with `INVALID_INPUT` where it is no source. */
export async function openSource(source: ModelSource): Promise<OpenSource> {
  if (isAddressed(source)) return { urls: addressed(source) };
  const read = await reader(source);
  if (read === undefined) return { urls: resolveBundle(source as string | URL) };
  const fetch: Fetch = async (url, { signal }) => {
    signal?.throwIfAborted();
    const path = url.slice(LOCAL.length);
    const file = await read(path);
    return file === undefined ? new Response(`${path} is not among the files`, { status: 404 }) : new Response(file.stream());
  };
  return { urls: { manifest: `${LOCAL}diffcr.json`, file: (path) => LOCAL + path }, fetch };
}

async function reader(source: unknown): Promise<ReadFile | undefined> {
  if (typeof source === 'string' || typeof source !== 'object' || source === null) return undefined;
  if (isBlob(source)) {
    const entries = await unzip(source);
    return within([...entries.keys()], async (path) => await entries.get(path)?.());
  }
  if (Reflect.get(source, 'kind') === 'directory') return (path) => fromHandle(source as DirectoryHandle, path);
  if (!('length' in source)) return undefined;
  const files = Array.from(source as ArrayLike<unknown>);
  if (!files.every(isBlob)) throw invalid('url', 'one of the files is no File');
  const byPath = new Map(files.map((file) => [pathOf(file), file]));
  return within([...byPath.keys()], async (path) => byPath.get(path));
}

/** Paths count from the folder that holds `diffcr.json`. */
function within(paths: readonly string[], read: ReadFile): ReadFile {
  const manifests = paths.filter((path) => path === 'diffcr.json' || path.endsWith('/diffcr.json'));
  const manifest = manifests.sort((a, b) => a.length - b.length)[0];
  if (manifest === undefined) throw invalid('url', 'there is no diffcr.json among the files');
  const folder = manifest.slice(0, -'diffcr.json'.length);
  return (path) => read(folder + path);
}

async function fromHandle(folder: DirectoryHandle, path: string): Promise<Blob | undefined> {
  const names = path.split('/');
  const name = names.pop() ?? '';
  try {
    let at = folder;
    for (const each of names) at = await at.getDirectoryHandle(each);
    return await (await at.getFileHandle(name)).getFile();
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotFoundError') return undefined;
    throw error;
  }
}

function isAddressed(source: unknown): source is BundleAddresses {
  return typeof source === 'object' && source !== null && Object.hasOwn(source, 'diffcr.json');
}

function isBlob(value: unknown): value is Blob {
  return ['Blob', 'File'].includes(Object.prototype.toString.call(value).slice(8, -1));
}

function pathOf(file: Blob): string {
  const { webkitRelativePath = '', name = '' } = file as Partial<File>;
  return webkitRelativePath === '' ? name : webkitRelativePath;
}
