/** Fetching in Node: as the platform does, and from disk. */

import { readFile } from 'node:fs/promises';
import type { Fetch } from './weights/fetch.ts';

/** `file:` addresses are read; what is not there is a 404. */
export const fetchFile: Fetch = async (url, init) => {
  if (!url.startsWith('file:')) return await globalThis.fetch(url, init);
  init.signal?.throwIfAborted();
  try {
    return new Response(await readFile(new URL(url)));
  } catch (error) {
    const missing = error instanceof Error && ['ENOENT', 'EISDIR', 'ENOTDIR'].includes(String(Reflect.get(error, 'code')));
    if (missing) return new Response(String(error), { status: 404 });
    throw error;
  }
};
