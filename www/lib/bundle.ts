/** Where a bundle lives, and how large it is: known on the page, before any module can read the manifest in full. */

import type { FileEntry } from './contract.ts';
import { DiffCRError } from './errors.ts';
import { invalid } from './options.ts';
import { platform } from './platform.ts';

export interface BundleUrls {
  readonly manifest: string;
  /** Address of a file of the bundle, by its path in it. */
  readonly file: (path: string) => string;
}

/** What a folder of files can be under; `file:` and `chrome-extension:` are a page's own. */
const SCHEMES: readonly string[] = ['https:', 'http:', 'file:', 'chrome-extension:', 'moz-extension:', 'capacitor:', 'tauri:', 'app:'];

/**
 * Takes the folder, with or without the last `/`, or its `diffcr.json`; relative addresses count from the page, in a worker from its script.
 * `hf:OWNER/NAME@REVISION/FOLDER` is a repository of the Hugging Face Hub; revision (`main`) and folder may be left out.
 */
export function resolveBundle(url: string | URL): BundleUrls {
  if (typeof url === 'string' && url.startsWith('hf:')) url = hubAddress(url);
  const manifest = absolute(url, 'url');
  if (!SCHEMES.includes(manifest.protocol)) {
    throw invalid('url', `${JSON.stringify(manifest.href.slice(0, 60))} is no address of a folder: ${manifest.protocol} has none`);
  }
  manifest.hash = '';
  if (!manifest.pathname.endsWith('/diffcr.json')) manifest.pathname = `${manifest.pathname.replace(/\/+$/, '')}/diffcr.json`;
  // A query is a signature, perhaps, of every file's.
  const file = (path: string): string => new URL(path, manifest).href + manifest.search;
  return { manifest: manifest.href, file };
}

/** Addresses of a bundle's files, by their paths in it, `diffcr.json` among them: what a bundler makes of files that it renames. */
export type BundleAddresses = Readonly<Record<string, string | URL>> & { readonly 'diffcr.json': string | URL };

export function addressed(addresses: BundleAddresses): BundleUrls {
  const urls = new Map(Object.entries(addresses).map(([path, url]) => [path, absolute(url, 'url').href]));
  const file = (path: string): string => {
    const url = urls.get(path);
    if (url === undefined) throw new DiffCRError('MANIFEST_INVALID', `manifest: ${path} has no address`, { url: file('diffcr.json') });
    return url;
  };
  return { manifest: file('diffcr.json'), file };
}

function hubAddress(url: string): string {
  const found = /^hf:([\w.-]+\/[\w.-]+)(?:@([\w.-]+))?((?:\/[\w.-]+)*)\/?$/.exec(url);
  if (found === null) throw invalid('url', `${JSON.stringify(url)} is not of the form hf:OWNER/NAME@REVISION/FOLDER`);
  const [, repository = '', revision = 'main', folder = ''] = found;
  return `https://huggingface.co/${repository}/resolve/${revision}${folder}/`;
}

/** The address by which a bundle is known: without query, which may be signed and then differs from visit to visit. */
export function bundleKey({ manifest }: BundleUrls): string {
  const url = new URL(manifest);
  url.search = '';
  return url.href;
}

/** What a manifest says of its files' sizes; `url` is named where it says nothing: `MANIFEST_INVALID`. */
export function listedFiles(json: string, url: string): { readonly bytes: number; readonly sha256: unknown }[] {
  const invalid = (reason: string, cause?: unknown): DiffCRError =>
    new DiffCRError('MANIFEST_INVALID', `manifest: ${reason}`, { url }, cause);
  let files: unknown;
  try {
    const manifest: unknown = JSON.parse(json);
    files = typeof manifest === 'object' && manifest !== null ? Reflect.get(manifest, 'files') : undefined;
  } catch (cause) {
    throw invalid('not JSON', cause);
  }
  if (!Array.isArray(files)) throw invalid('`files` is missing');
  return files.map((file: unknown) => {
    const { bytes, sha256 }: { bytes?: unknown; sha256?: unknown } = typeof file === 'object' && file !== null ? file : {};
    if (typeof bytes !== 'number' || !(bytes >= 0)) throw invalid('a file has no `bytes`');
    return { bytes, sha256 };
  });
}

/** The files themselves, where no engine has checked the manifest: paths stay inside the bundle, hashes are hashes. */
export function listedEntries(json: string, url: string): FileEntry[] {
  const files = (JSON.parse(json) as { files: FileEntry[] }).files;
  listedFiles(json, url).forEach(({ sha256 }, i) => {
    const path: unknown = files[i]?.path;
    const inside = typeof path === 'string' && /^[\w.-]+(\/[\w.-]+)*$/.test(path) && !path.split('/').some((each) => /^\.+$/.test(each));
    if (!inside)
      throw new DiffCRError('MANIFEST_INVALID', `manifest: file path ${JSON.stringify(path)} is not allowed in a bundle`, { url });
    if (!/^[0-9a-f]{64}$/.test(String(sha256))) throw new DiffCRError('MANIFEST_INVALID', `manifest: ${path} has no sha256`, { url });
  });
  return files;
}

/** Bytes of all files that a manifest lists. */
export function listedBytes(json: string, url: string): number {
  return listedFiles(json, url).reduce((sum, { bytes }) => sum + bytes, 0);
}

/** The address of a folder, ending in `/`. */
export function resolveFolder(url: string | URL, field: string): string {
  const folder = absolute(url, field);
  if (!folder.pathname.endsWith('/')) folder.pathname += '/';
  return folder.href;
}

export function absolute(url: unknown, field: string): URL {
  const isUrl = Object.prototype.toString.call(url) === '[object URL]';
  if (!isUrl && (typeof url !== 'string' || url === '')) throw invalid(field, `${url === '' ? "''" : String(url)} is not an address`);
  const base = platform.base();
  const text = String(url);
  try {
    // In a worker that a Blob started, nothing can be relative.
    return new URL(text, base?.startsWith('blob:') ? undefined : base);
  } catch (cause) {
    throw invalid(field, `${JSON.stringify(text)} is not an address`, {}, cause);
  }
}
