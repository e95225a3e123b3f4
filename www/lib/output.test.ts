import { inflateSync } from 'node:zlib';
import { afterEach, expect, test, vi } from 'vitest';
import { Output } from './output.ts';
import { readParams } from './params.ts';
import { encodePng, withText } from './png.ts';
import { FakeImageData } from './testing/fake.ts';

afterEach(() => vi.unstubAllGlobals());

test('the PNG carries the parameters', async () => {
  const png = Uint8Array.from({ length: 60 }, (_, i) => i);
  const drawn: unknown[] = [];
  vi.stubGlobal('ImageData', FakeImageData);
  vi.stubGlobal(
    'OffscreenCanvas',
    class {
      getContext = () => ({ putImageData: (image: unknown) => drawn.push(image) });
      convertToBlob = async ({ type }: { type: string }) => new Blob([png], { type });
    },
  );
  const settings = { seed: 3, steps: 2, guidance: 3, width: 1, height: 1, solver: 'dpm++' as const, compression: 'learned' };
  const params = { prompt: 'a star', negativePrompt: '', ...settings };
  const timings = { encodeMs: 1, stepMs: [1, 1], decodeMs: 1, totalMs: 4 };
  const out = new Output(
    {
      type: 'done',
      pixels: Uint8ClampedArray.of(1, 2, 3, 255),
      width: 1,
      height: 1,
      settings,
      timings,
      flops: { total: 1, dense: 2 },
      warnings: [],
    },
    params,
    'v1',
  );
  const blob = await out.toBlob();
  expect(blob.type).toBe('image/png');
  expect(drawn).toEqual([out.image]);
  const text = await blob.text();
  expect(text).toContain(`iTXtdiffcr\0\0\0\0\0${JSON.stringify({ ...params, modelVersion: 'v1' })}`);
  expect(out.latents).toBeUndefined();
});

test('another picture takes the place of its own, and the rest stays', () => {
  vi.stubGlobal('ImageData', FakeImageData);
  const settings = { seed: 3, steps: 2, guidance: 3, width: 1, height: 1, solver: 'dpm++' as const, compression: 'learned' };
  const params = { prompt: 'a star', negativePrompt: '', ...settings };
  const timings = { encodeMs: 1, stepMs: [1, 1], decodeMs: 1, totalMs: 4 };
  const rest = { settings, timings, flops: { total: 1, dense: 2 }, warnings: [], routing: { grid: [1, 1] as const, steps: [] } };
  const out = new Output({ type: 'done', pixels: new Uint8ClampedArray(4), width: 1, height: 1, ...rest }, params, 'v1');
  const large = new FakeImageData(
    Uint8ClampedArray.from({ length: 24 }, (_, i) => i),
    3,
    2,
  ) as unknown as ImageData;
  const other = out.withImage(large);
  expect([other.image.width, other.image.height, other.image.data[23]]).toEqual([3, 2, 23]);
  expect([other.params, other.timings, other.routing, other.modelVersion]).toEqual([params, timings, out.routing, 'v1']);
  expect([out.image.width, other.latents]).toEqual([1, undefined]);
});

test('what is translucent keeps every byte, without a canvas', async () => {
  vi.stubGlobal('ImageData', FakeImageData);
  vi.stubGlobal('OffscreenCanvas', undefined);
  const pixels = Uint8ClampedArray.of(250, 3, 7, 1, 9, 8, 7, 0);
  const settings = { seed: 3, steps: 2, guidance: 3, width: 64, height: 64, solver: 'dpm++' as const, compression: 'learned' };
  const timings = { encodeMs: 1, stepMs: [1, 1], decodeMs: 1, totalMs: 4 };
  const out = new Output(
    { type: 'done', pixels, width: 2, height: 1, settings, timings, flops: { total: 1, dense: 2 }, warnings: [] },
    { prompt: '', negativePrompt: '', ...settings },
    'v1',
  );
  const png = Buffer.from(await (await out.toBlob()).arrayBuffer());
  const at = png.indexOf('IDAT');
  const data = png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4));
  expect([...inflateSync(data)]).toEqual([0, ...pixels]);
  expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([2, 1]);
});

test('what a picture was drawn with can be read back, and nothing out of any other file', async () => {
  const plain = await encodePng({ width: 1, height: 1, data: Uint8ClampedArray.of(1, 2, 3, 4) });
  const params = { prompt: 'ein großer Stern ★', seed: 3, modelVersion: 'v1' };
  const ours = withText(withText(plain, 'other', 'no'), 'diffcr', JSON.stringify(params));
  expect(await readParams(new Blob([ours]))).toEqual(params);
  expect(await readParams(new Blob([withText(ours, 'more', 'text')]))).toEqual(params);
  for (const other of [
    plain,
    ours.slice(0, 60),
    new Uint8Array(3),
    withText(plain, 'diffcr', 'not json'),
    withText(plain, 'diffcr', '{}'),
  ]) {
    expect(await readParams(new Blob([other]))).toBeUndefined();
  }
  await expect(readParams('picture.png' as unknown as Blob)).rejects.toMatchObject({ code: 'INVALID_INPUT', details: { field: 'png' } });
});

test('in Node a picture is an object with the same properties, and becomes a PNG', async () => {
  const settings = { seed: 3, steps: 2, guidance: 3, width: 1, height: 1, solver: 'dpm++' as const, compression: 'learned' };
  const timings = { encodeMs: 1, stepMs: [1, 1], decodeMs: 1, totalMs: 4 };
  const done = {
    pixels: Uint8ClampedArray.of(1, 2, 3, 255),
    width: 1,
    height: 1,
    settings,
    timings,
    flops: { total: 1, dense: 2 },
    warnings: [],
  };
  const out = new Output({ type: 'done', ...done }, { prompt: 'a star', negativePrompt: '', ...settings }, 'v1');
  expect(out.image).toMatchObject({ width: 1, height: 1, colorSpace: 'srgb' });
  expect(await readParams(await out.toBlob())).toMatchObject({ prompt: 'a star', seed: 3, modelVersion: 'v1' });
  await expect(out.toBitmap()).rejects.toMatchObject({ name: 'DiffCRError', code: 'INTERNAL' });
});
