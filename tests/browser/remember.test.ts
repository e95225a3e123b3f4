/** What kernels were timed at is remembered from one load of a model to the next. */

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { LoadOptions, Precision } from '../../www/lib/index.ts';
import type { WasmModel } from '../../www/lib/wasm.ts';
import { openPage, useSite } from './harness.ts';
import { diffcr as cli } from './reference.ts';

/** Just wide enough that its matrices are worth timing. */
const WIDTH = 512;
/** Milliseconds; enough to time everything. */
const LONG = 600_000;

const bundles = mkdtempSync(join(tmpdir(), 'diffcr-remember-'));
beforeAll(() => {
  const checkpoint = join(bundles, 'wide.safetensors');
  writeZeros(checkpoint, shapes());
  const shape = ['--heads', '8', '--sample-size', '16', '--interpolation-scale', '1'];
  cli('convert', checkpoint, '--out', join(bundles, 'wide'), ...shape, '--encoding', 'q8', '--no-probe');
});
const site = useSite({ '/bundles/': bundles });

test('a second load takes over what the first one timed, until it is told to forget', async () => {
  const { page, close } = await openPage(site.browser);
  await page.goto(`${site.url}test/api.html`);
  await page.waitForSelector('body[data-api=ready]', { state: 'attached' });
  /** Lines with times of which no two measurements are the same to the hundredth of a millisecond. */
  const load = (options: Pick<LoadOptions, 'tuningMs' | 'rememberKernels'>): Promise<readonly string[]> =>
    page.evaluate(async (options) => {
      const pipe = await diffcr.loadModel('/bundles/wide/', { device: 'webgpu', ...options });
      await pipe.dispose();
      return pipe.info.kernels ?? [];
    }, options);
  const kept = (): Promise<number> => page.evaluate(async () => (await caches.keys()).filter((name) => name.startsWith('diffcr-kernels-')).length);

  const first = await load({ tuningMs: LONG });
  console.log(first.join('\n'));
  expect(first).not.toEqual([]);
  expect(await kept()).toBe(1);
  expect(await load({ tuningMs: LONG })).toEqual(first);
  for (const line of await load({ tuningMs: LONG, rememberKernels: false })) expect(first).not.toContain(line);

  await page.evaluate(() => diffcr.forgetKernels());
  expect(await kept()).toBe(0);
  for (const line of await load({ tuningMs: LONG })) expect(first).not.toContain(line);
  await close();
});

test('timings that do not fit the device, the model or the precision are dropped', async () => {
  const { page, close } = await openPage(site.browser);
  await page.goto(`${site.url}test/engine.html?bundle=wide`);
  await page.waitForSelector('body[data-api=ready]', { state: 'attached' });
  const timing = (chosen: string, format = 'q8', shape = [4 * WIDTH, WIDTH], few = false) => ({
    key: { format, shape, few }, rows: 64, variants: [['direct', 2], [chosen, 1]], chosen,
  });
  /** What is taken over of `known`, with no time for more. */
  const taken = (known: unknown, precision: Precision): Promise<readonly string[]> =>
    page.evaluate(
      ([known, precision]) => (model as unknown as WasmModel).tune(0, precision, known),
      [typeof known === 'string' ? known : JSON.stringify(known), precision] as const,
    );
  const unfit = [
    timing('magic'), timing('int8'), timing('shared', 'q3'), timing('shared', 'q4'), timing('shared', 'q8', [WIDTH, WIDTH + 4]), timing('thin'),
    timing('half', 'f32'), { key: 1 }, null, [],
  ];
  for (const known of ['', 'not JSON', '{}', '[', unfit, { products: unfit }, { products: 1 }]) expect(await taken(known, 'half')).toEqual([]);
  const lines = ['q8 2048x512, 64 rows: direct 2.00 ms, int8 1.00 ms; int8'];
  expect(await taken({ products: [timing('int8'), timing('shared')] }, 'int8')).toEqual(lines);
  expect(await taken('', 'int8')).toEqual(lines);
  expect(JSON.parse(await page.evaluate(() => (model as unknown as WasmModel).timings()))).toEqual({ products: [timing('int8')] });
  expect(await taken('', 'exact')).toEqual([]);
  await close();
});

/** A PixArt transformer of one layer. */
function shapes(): [string, number[]][] {
  const linear = (name: string, outputs: number, ...inputs: number[]): [string, number[]][] => [
    [`${name}.weight`, [outputs, ...inputs]],
    [`${name}.bias`, [outputs]],
  ];
  const block = 'transformer_blocks.0';
  const projections = ['attn1', 'attn2'].flatMap((name) => ['to_q', 'to_k', 'to_v', 'to_out.0'].map((each) => `${block}.${name}.${each}`));
  return [
    ...linear('pos_embed.proj', WIDTH, 4, 2, 2),
    ...linear('caption_projection.linear_1', WIDTH, 32),
    ...linear('caption_projection.linear_2', WIDTH, WIDTH),
    ...linear('adaln_single.emb.timestep_embedder.linear_1', WIDTH, 256),
    ...linear('adaln_single.emb.timestep_embedder.linear_2', WIDTH, WIDTH),
    ...linear('adaln_single.linear', 6 * WIDTH, WIDTH),
    ...linear('proj_out', 32, WIDTH),
    ['scale_shift_table', [2, WIDTH]],
    ...projections.flatMap((name) => linear(name, WIDTH, WIDTH)),
    ...linear(`${block}.ff.net.0.proj`, 4 * WIDTH, WIDTH),
    ...linear(`${block}.ff.net.2`, WIDTH, 4 * WIDTH),
    [`${block}.scale_shift_table`, [6, WIDTH]],
  ];
}

/** A safetensors file of zeros: how long a product takes does not depend on its numbers. */
function writeZeros(path: string, tensors: [string, number[]][]): void {
  let end = 0;
  const entries = tensors.map(([name, shape]) => {
    const start = end;
    end += 2 * shape.reduce((a, b) => a * b);
    return [name, { dtype: 'F16', shape, data_offsets: [start, end] }];
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(path, Buffer.concat([length, header, Buffer.alloc(end)]));
}
