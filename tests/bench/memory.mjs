/**
 * What loading a bundle through the package and one step of 64 tokens hold in memory: `node memory.mjs NAME BUNDLE`. Prints it, writes
 * the section `memory NAME` of results.json, and fails where a bound is passed.
 */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { measure, mib } from '../browser/memory.mjs';
import { startChromium } from './chromium.mjs';
import { record } from './results.mjs';

const CONCURRENCY = 4;
const CAPTION = 20;
const TOKENS = 64;
const MIB = 2 ** 20;

const [name, bundle] = process.argv.slice(2);
const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const { page, url, version, close } = await startChromium({ '/test/': at('../browser/pages/'), '/pkg/': at('../../pkg/dist/'), '/bundle/': resolve(bundle) });
await page.goto(`${url}test/api.html`);
await page.waitForSelector('body[data-api=ready]', { state: 'attached' });

const { layers, heads, headDim, inChannels, captionChannels, patchSize } = JSON.parse(readFileSync(`${bundle}/diffcr.json`, 'utf8')).parts.transformer;
const files = readdirSync(bundle).filter((file) => file.endsWith('.safetensors')).map((file) => statSync(`${bundle}/${file}`).size);
const packed = files.reduce((sum, bytes) => sum + bytes);
const chunk = Math.max(...files);
// The captions' keys and values in every layer; and where a block is at its widest, ten tensors of tokens: six around the attention, of
// which the MLP's hidden one, four wide, reuses none.
const activations = 4 * heads * headDim * (2 * layers * CAPTION + 10 * TOKENS);

const side = Math.sqrt(TOKENS) * patchSize;
const run = { guidance: 1, latents: { random: [1, inChannels, side, side] }, promptEmbeds: { random: [1, CAPTION, captionChannels] } };
const { loadMs, stepMs, heap, loaded, ran } = await measure(page, `${url}bundle/`, { concurrency: CONCURRENCY, run });
await close();

const bounds = {
  // Chunks that are being read belong to no heap meanwhile, so each lane is given one more.
  'wasm and heaps while loading': [loaded.wasm + heap + CONCURRENCY * chunk, 200e6],
  'weights on the GPU': [loaded.gpuPeak, 1.05 * packed],
  'all on the GPU, with a step': [ran.gpuPeak, 1.1 * (packed + activations)],
  'largest buffer': [ran.largestBuffer, 128 * MIB],
  'largest binding': [ran.largestBinding, 128 * MIB],
};
console.log(`\n${name}: ${mib(packed)} MiB in ${files.length} chunks of ${mib(chunk)} at most, activations ${mib(activations)} MiB; loaded in ${(loadMs / 1000).toFixed(1)} s, first step ${(stepMs / 1000).toFixed(1)} s`);
console.log(`wasm ${mib(loaded.wasm)} MiB, heaps ${mib(heap)}; on the GPU ${mib(loaded.gpu)} loaded, ${mib(ran.gpu)} after a step, of it uniforms ${mib(ran.uniforms)}, readback ${mib(ran.readback)}`);
for (const [what, [found, bound]] of Object.entries(bounds)) console.log(`${what.padEnd(32)} ${String(mib(found)).padStart(8)} MiB of ${mib(bound)}`);
record(`memory ${name}`, { chromium: version, adapter: 'SwiftShader', concurrency: CONCURRENCY, tokens: TOKENS, caption: CAPTION, packed, chunk, activations, loadMs, firstStepMs: stepMs, heap, loaded, ran });
const passed = Object.entries(bounds).filter(([, [found, bound]]) => !(found <= bound));
if (passed.length > 0) throw new Error(`too much memory: ${passed.map(([what]) => what).join(', ')}`);
