/** Where a bundle lives: from the address a caller gives to the addresses of its manifest and its files. */

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
