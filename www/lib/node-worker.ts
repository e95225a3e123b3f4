/** The worker thread's entry in Node: binds a {@link Session} to the messages of the main thread. */

import { parentPort } from 'node:worker_threads';
import { requestAdapter } from './adapter.ts';
import { toWire } from './errors.ts';
import { fetchFile } from './node-fetch.ts';
import type { FromWorker, ToWorker } from './protocol.ts';
import { explained, Session } from './session.ts';
import { engineOpener } from './wasm.ts';

const post = (message: FromWorker, transfer: Transferable[]): void => parentPort?.postMessage(message, transfer as never[]);

const session = new Session({
  post,
  openerFor: (folder) => engineOpener(folder, fetchWasm),
  requestAdapter,
  caches: undefined,
});

/** Says what the file is, which a disk does not. */
async function fetchWasm(url: URL): Promise<Response> {
  const response = await fetchFile(url.href, {});
  if (url.protocol !== 'file:') return response;
  return new Response(response.body, { status: response.status, headers: { 'content-type': 'application/wasm' } });
}

post({ type: 'hello' }, []);
parentPort?.on('message', (message: ToWorker) => void session.handle(message));
process.on('unhandledRejection', (reason) => {
  if (reason instanceof WebAssembly.RuntimeError) post({ type: 'crashed', error: toWire(explained(reason)) }, []);
});
