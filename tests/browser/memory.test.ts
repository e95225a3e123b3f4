/** What loading and a step hold in memory: bounds that a copy too many, or an allocator that rounds up, would break. */

import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { MODEL_F16, openPage, SCENES, useSite } from './harness.ts';
import { measure, mib } from './memory.mjs';
import { diffcr } from './reference.ts';

const MIB = 2 ** 20;
const CONCURRENCY = 2;
/** Beside the chunks: the module's own memory, 2 MiB of stack in it, and the scripts'. */
const WASM_ROOM = 5 * MIB;
const HEAP_ROOM = 12 * MIB;
/** Beside the weights: activations and uniforms of one step over so many tokens, in pages. */
const stepRoom = (tokens: number): number => (2 + tokens / 25) * MIB;
/** What a WebGPU device binds without asking for more. */
const MAX_BINDING = 128 * MIB;

const bundles = mkdtempSync(join(tmpdir(), 'diffcr-memory-'));
beforeAll(() => {
  diffcr('convert', SCENES, '--out', join(bundles, 'q4'), '--encoding', 'q4', '--no-probe');
});
const site = useSite({ '/bundles/': bundles });

test.each([
  ['f16', 256, MODEL_F16, 'models/scenes/'],
  ['q4', 64, join(bundles, 'q4'), 'bundles/q4/'],
])('a bundle in %s takes the memory of its weights, and of few chunks on its way', async (name, tokens, folder, path) => {
  const manifest: { files: { bytes: number }[] } = JSON.parse(readFileSync(join(folder, 'diffcr.json'), 'utf8'));
  const files = manifest.files.map(({ bytes }) => bytes);
  const packed = files.reduce((sum, bytes) => sum + bytes, 0);
  const chunk = Math.max(...files);

  const { page, close } = await openPage(site.browser);
  await page.goto(`${site.url}test/api.html`);
  await page.waitForSelector('body[data-api=ready]', { state: 'attached' });
  const run = { prompt: 'a large red star on a blue background', guidance: 3 };
  const { loaded, ran, heap } = await measure(page, `${site.url}${path}`, { concurrency: CONCURRENCY, run });
  console.log(
    `${name}, ${mib(packed)} MiB in chunks of ${mib(chunk)}: loaded ${mib(loaded.gpu)} on the GPU, ${mib(loaded.wasm)} wasm, ${mib(heap)} heaps; ` +
      `after a step ${mib(ran.gpu)} on the GPU (${mib(ran.uniforms)} uniforms), ${mib(ran.wasm)} wasm`,
  );
  expect(loaded.wasm).toBeLessThanOrEqual(3 * chunk + WASM_ROOM);
  expect(loaded.wasm + heap).toBeLessThanOrEqual((CONCURRENCY + 1) * chunk + WASM_ROOM + HEAP_ROOM);
  expect(loaded.gpu).toBeGreaterThan(packed / 2); // or nothing was counted
  expect(loaded.gpuPeak).toBeLessThanOrEqual(1.05 * packed);
  expect(ran.gpuPeak).toBeLessThanOrEqual(1.05 * packed + stepRoom(tokens));
  expect(ran.largestBuffer).toBeLessThanOrEqual(MAX_BINDING);
  expect(ran.largestBinding).toBeLessThanOrEqual(MAX_BINDING);
  await close();
});
