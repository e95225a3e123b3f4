/** A picture, with the package from a bundler: worker and wasm files are found by it. */

import { loadModel } from 'diffcr-web';

const status = document.querySelector<HTMLElement>('#status');
const picture = document.querySelector<HTMLImageElement>('#picture');
if (status === null || picture === null) throw new Error('the page has no place for a picture');

const pipe = await loadModel(new URLSearchParams(location.search).get('model') ?? 'models/scenes-q4/');
const out = await pipe.generate({ prompt: 'a large red star on a blue background', seed: 7, steps: 8, guidance: 3 });
picture.src = URL.createObjectURL(await out.toBlob());
status.textContent = `Drawn on the ${pipe.backend} in ${Math.round(out.timings.totalMs)} ms`;
await pipe.dispose();
