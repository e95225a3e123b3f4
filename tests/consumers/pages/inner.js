/** Draws what the page asks for. */
import { draw } from './draw.js';

onmessage = async ({ data: { lib, model } }) => postMessage(await draw(await import(lib), model));
