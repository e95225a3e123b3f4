/** Where a bundle lives, and how large it is: known on the page, before any module can read the manifest in full. */

import { DiffCRError } from './errors.ts';

export interface BundleUrls {
  readonly manifest: string;
  /** Ends in `/`. */
  readonly base: string;
}

/** Takes the folder, with or without the last `/`, or its `diffcr.json`; relative addresses count from the page. */
export function resolveBundle(url: string | URL): BundleUrls {
  const manifest = absolute(url, 'url');
  manifest.hash = '';
  if (!manifest.pathname.endsWith('/diffcr.json')) manifest.pathname = `${manifest.pathname.replace(/\/+$/, '')}/diffcr.json`;
  return { manifest: manifest.href, base: new URL('.', manifest).href };
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

export function absolute(url: string | URL, field: string): URL {
  const base: string | undefined = globalThis.document?.baseURI;
  try {
    return new URL(url, base);
  } catch (cause) {
    throw new DiffCRError('INVALID_INPUT', `${field}: ${JSON.stringify(String(url))} is not an address`, { field }, cause);
  }
}
