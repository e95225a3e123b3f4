/** The worker's entry: binds a {@link Session} to the messages of the page. */

import { requestAdapter } from './adapter.ts';
import { toWire } from './errors.ts';
import { platformCaches } from './caches.ts';
import type { FromWorker, ToWorker } from './protocol.ts';
import { explained, Session } from './session.ts';
import { engineOpener } from './wasm.ts';

const post = (message: FromWorker, transfer: Transferable[]): void => self.postMessage(message, { transfer });

const session = new Session({
  post,
  openerFor: engineOpener,
  requestAdapter,
  caches: platformCaches(),
  bitmap: ({ width, height, data }) => createImageBitmap(new ImageData(new Uint8ClampedArray(data), width, height)),
});

post({ type: 'hello' }, []);
self.addEventListener('message', (event: MessageEvent<ToWorker>) => void session.handle(event.data));
// A trap inside a future of the module ends up here, not in the promise that the session waits for.
self.addEventListener('error', ({ error, message }) => post({ type: 'crashed', error: toWire(explained(error ?? message)) }, []));
self.addEventListener('unhandledrejection', ({ reason }) => {
  if (reason instanceof WebAssembly.RuntimeError) post({ type: 'crashed', error: toWire(explained(reason)) }, []);
});
