/** What Node does otherwise than a browser, wherever the package runs in it: files are fetched from disk too, addresses count from the folder. */

import { pathToFileURL } from 'node:url';
import { fetchFile } from './node-fetch.ts';
import { platform } from './platform.ts';

export function useNode(): void {
  platform.fetch = fetchFile;
  platform.base = () => pathToFileURL(`${process.cwd()}/`).href;
}
