/** What differs between a browser and Node: how a worker is started, and who answers a `fetch`. The Node entry puts its own here. */

import type { Connect } from './remote.ts';
import { connectWorker, workerStarter, type ScriptAddress } from './spawn.ts';
import type { Fetch } from './weights/fetch.ts';

export interface Platform {
  connect: (workerUrl: ScriptAddress | undefined) => Connect;
  fetch: Fetch;
  /** Of the page, or of the current folder. */
  base: () => string | undefined;
}

export const platform: Platform = {
  connect: (workerUrl) => connectWorker(workerStarter(workerUrl)),
  fetch: (input, init) => globalThis.fetch(input, init),
  base: () => globalThis.document?.baseURI ?? globalThis.location?.href,
};
