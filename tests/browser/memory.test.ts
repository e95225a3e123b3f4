/** What loading and a step hold in memory: bounds that a copy too many, or an allocator that rounds up, would break. */

import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
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

const ROUNDS = 20;
/** What the browser itself keeps after its first rounds, and no more. */
const KEPT = 10 * MIB;

/** Bytes that each process of pages, and the GPU's, holds for itself alone. */
async function held(browser: Browser): Promise<Map<number, number>> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  const processes = processInfo.filter(({ type }) => type === 'renderer' || type === 'GPU');
  return new Map(processes.map(({ id }) => [id, 1024 * Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1])]));
}

// Elsewhere nothing tells what a process holds.
test.skipIf(process.platform !== 'linux').each(['cpu', 'webgpu'] as const)('loading, drawing and disposing again and again leaves nothing: %s', async (device) => {
  const { page, close } = await openPage(site.browser);
  await page.goto(`${site.url}test/api.html`);
  await page.waitForSelector('body[data-api=ready]', { state: 'attached' });
  const session = await page.context().newCDPSession(page);
  const rounds: Map<number, number>[] = [];
  for (let round = 1; round <= 2 + ROUNDS; round += 1) {
    await page.evaluate(async (device) => {
      // From what is kept: of what comes by the network, the tests' hold on the browser keeps a copy.
      const pipe = await globalThis.diffcr.loadModel('/models/scenes-q4/', { device });
      await pipe.generate({ prompt: 'a large red star', steps: 1 });
      await pipe.dispose();
    }, device);
    await expect.poll(() => page.workers().length).toBe(0);
    await session.send('HeapProfiler.collectGarbage');
    rounds.push(await held(site.browser));
  }
  /** The least that a process held in some rounds: what it keeps. */
  const least = (some: Map<number, number>[], id: number): number => Math.min(...some.map((round) => round.get(id) ?? Infinity));
  const growth = [...(rounds.at(-1) ?? [])].map(([id]) => least(rounds.slice(-3), id) - least(rounds.slice(2, 5), id));
  console.log(`${device}: in ${ROUNDS} rounds the processes grew by ${growth.map(mib).join(', ')} MiB`);
  expect(growth.length).toBeGreaterThan(1);
  expect(growth.reduce((sum, each) => sum + Math.max(0, each), 0)).toBeLessThanOrEqual(KEPT);
  await close();
}, 900_000);
