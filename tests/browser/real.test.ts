/** A model of a real one's widths, a layer or two deep, over a whole vocabulary: what it holds in memory while its text encoder passes by. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPage, root, useSite } from './harness.ts';
import { measure, mib, report } from './memory.mjs';
import { diffcr } from './reference.ts';
import { readSafetensors, tensor } from './safetensors.ts';

const MIB = 2 ** 20;
const folder = mkdtempSync(join(tmpdir(), 'diffcr-real-'));
const bundle = join(folder, 'twin');
const PROMPT = 'a large red circle on a blue background';
const RUN = { prompt: PROMPT, seed: 5, steps: 2, guidance: 3 };

interface Parts {
  readonly transformer: object;
  readonly textEncoder: object;
  readonly [part: string]: object;
}

beforeAll(() => {
  const parts = JSON.parse(readFileSync(`${root}tests/bench/pixart-sigma.json`, 'utf8')) as Parts;
  const twin = {
    ...parts,
    transformer: { ...parts.transformer, layers: 1, sampleSize: 8 },
    textEncoder: { ...parts.textEncoder, layers: 2 },
  };
  writeFileSync(join(folder, 'parts.json'), JSON.stringify(twin));
  const tokenizer = `${root}tests/fixtures/scenes/tokenizer/tokenizer.json`;
  diffcr('random', join(folder, 'parts.json'), '--out', bundle, '--encoding', 'q4', '--tokenizer', tokenizer);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));
const site = useSite({ '/bundles/': folder });

test('a text encoder passes by two layers at a time, and leaves nothing', async () => {
  const manifest = JSON.parse(readFileSync(join(bundle, 'diffcr.json'), 'utf8')) as { files: { path: string; bytes: number; part: string }[] };
  const bytesOf = (part: string): number => manifest.files.filter((file) => file.part === part).reduce((sum, { bytes }) => sum + bytes, 0);
  const [text, core] = [bytesOf('textEncoder'), bytesOf('transformer') + bytesOf('vae')];
  expect(text).toBeGreaterThan(300 * MIB); // or it is no twin

  const { page, close } = await openPage(site.browser);
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.goto(`${site.url}test/api.html`);
  await page.waitForSelector('body[data-api=ready]', { state: 'attached' });
  const { loaded, ran, heap } = await measure(page, `${site.url}bundles/twin/`, { concurrency: 2, run: RUN });
  console.log(
    `${mib(core)} MiB of networks, ${mib(text)} of text encoder: loaded ${mib(loaded.gpu)} on the GPU, ${mib(loaded.wasm)} wasm, ${mib(heap)} heaps; ` +
      `after a step ${mib(ran.gpu)} (most ${mib(ran.gpuPeak)}) on the GPU, ${mib(ran.wasm)} wasm`,
  );
  const fetched = asked.filter((url) => url.includes('text_encoder')).length;
  expect(fetched).toBe(manifest.files.filter(({ part }) => part === 'textEncoder').length);
  // Without what reads pictures; convolutions over doubled maps are wider than they are stored.
  expect(loaded.gpu).toBeLessThanOrEqual(0.92 * core);
  expect(ran.wasm).toBeLessThanOrEqual(96 * MIB);
  expect(ran.gpuPeak).toBeGreaterThan(loaded.gpu + 90 * MIB); // a layer was there
  expect(ran.gpuPeak).toBeLessThanOrEqual(loaded.gpu + 2 * 100 * MIB + 40 * MIB);
  expect(ran.gpu).toBeLessThanOrEqual(loaded.gpu + 40 * MIB);

  // The same prompt again reads none of it, and the picture is the one that the native binary draws.
  const image = join(folder, 'native.safetensors');
  const options = Object.entries({ ...RUN, 'save-latents': image, out: join(folder, 'native.png') });
  diffcr('generate', bundle, ...options.flatMap(([name, value]) => [`--${name}`, String(value)]));
  const pixels = await page.evaluate(async (run) => Array.from((await (globalThis as unknown as { pipe: { generate(options: object): Promise<{ image: ImageData }> } }).pipe.generate(run)).image.data), RUN);
  expect(asked.filter((url) => url.includes('text_encoder'))).toHaveLength(fetched);
  const { shape, data } = tensor(readSafetensors(image), 'image');
  const [, , height = 0, width = 0] = shape;
  expect(pixels).toHaveLength(4 * width * height);
  const plane = width * height;
  const squares = Array.from({ length: 3 * plane }, (_, i) => {
    const wanted = ((data[i] ?? Number.NaN) + 1) * 127.5;
    return (wanted - (pixels[4 * (i % plane) + Math.floor(i / plane)] ?? Number.NaN)) ** 2;
  });
  const psnr = 10 * Math.log10(255 ** 2 / (squares.reduce((a, b) => a + b, 0) / squares.length));
  console.log(`against the native picture: ${psnr.toFixed(1)} dB; ${mib((await page.evaluate(report)).gpu)} MiB on the GPU`);
  expect(psnr).toBeGreaterThan(48);

  // The half of the autoencoder that reads pictures comes for one, and goes.
  const before = asked.filter((url) => url.includes('/vae-')).length;
  const changed = await page.evaluate(async (run) => {
    const pixels = (paint: (x: number) => number): ImageData => {
      const data = Uint8ClampedArray.from({ length: 4 * 64 * 64 }, (_, i) => (i % 4 === 3 ? 255 : paint((i >> 2) % 64)));
      return new ImageData(data, 64, 64);
    };
    const image = pixels((x) => 3 * x);
    const mask = pixels((x) => (x < 16 ? 255 : 0));
    const { pipe } = globalThis as unknown as { pipe: { inpaint(options: object): Promise<{ image: ImageData }> } };
    const { data } = (await pipe.inpaint({ ...run, image, mask })).image;
    const differs = (i: number): boolean => [0, 1, 2].some((c) => data[4 * i + c] !== image.data[4 * i + c]);
    const cells = Array.from({ length: 64 * 64 }, (_, i) => i).filter(differs);
    return { inside: cells.filter((i) => i % 64 < 16).length, outside: cells.filter((i) => i % 64 >= 16).length };
  }, RUN);
  expect(changed.outside).toBe(0);
  expect(changed.inside).toBeGreaterThan(500);
  expect(asked.filter((url) => url.includes('/vae-')).length).toBeGreaterThan(before);
  const after = await page.evaluate(report);
  expect(after.gpu).toBeLessThanOrEqual(loaded.gpu + 40 * MIB);
  expect(after.wasm).toBeLessThanOrEqual(96 * MIB);
  await close();
});
