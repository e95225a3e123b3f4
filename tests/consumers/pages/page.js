/** A page without a bundler: `?lib=` is the address of the package, `?model=` of the model. */
import { draw } from './draw.js';

const query = new URLSearchParams(location.search);
const lib = await import(query.get('lib'));
const result = await draw(lib, query.get('model'));
globalThis.result = result;
parent.postMessage(result, '*');
