/** What the pages of every project run: the picture of `draw.js` on both engines, from the package as the project's tools find it. */

/** `load` are more options of `loadModel`, as source; `model` tells that the model is a package too, `server` that the server draws at `/picture`. */
export const script = ({ load = '', model = false, server = false } = {}) => `
import { loadModel } from 'diffcr-web';
import { draw } from './draw.js';
${model ? "import model from 'diffcr-web-scenes';" : "const model = '/model/';"}

const drawn = {};
// Importing it on a server does nothing.
if (typeof document !== 'undefined') {
  for (const device of ['cpu', 'webgpu']) drawn[device] = await draw({ loadModel }, model, { device, ${load} });
  ${server ? "drawn.server = await (await fetch('/picture')).json();" : ''}
  globalThis.result = drawn;
}
`;

export const html = (address) => `<!doctype html><script type="module" src="${address}"></script>`;
