/** A page whose files are kept by a service worker, and whose model by the package: the second visit needs no network. */
import { draw } from './draw.js';

const query = new URLSearchParams(location.search);
await navigator.serviceWorker.register(`offline-worker.js?lib=${encodeURIComponent(query.get('lib'))}`);
await navigator.serviceWorker.ready;
const lib = await import(query.get('lib'));
globalThis.result = await draw(lib, query.get('model'), { cache: 'auto' });
