import { afterEach, expect, test, vi } from 'vitest';
import { Output } from './output.ts';
import { FakeImageData } from './testing/fake.ts';

afterEach(() => vi.unstubAllGlobals());

test('the PNG carries the parameters', async () => {
  const png = Uint8Array.from({ length: 60 }, (_, i) => i);
  const drawn: unknown[] = [];
  vi.stubGlobal('ImageData', FakeImageData);
  vi.stubGlobal('OffscreenCanvas', class {
    getContext = () => ({ putImageData: (image: unknown) => drawn.push(image) });
    convertToBlob = async ({ type }: { type: string }) => new Blob([png], { type });
  });
  const settings = { seed: 3, steps: 2, guidance: 3, width: 1, height: 1, solver: 'dpm++', compression: 'learned' };
  const params = { prompt: 'a star', negativePrompt: '', ...settings };
  const timings = { encodeMs: 1, stepMs: [1, 1], decodeMs: 1, totalMs: 4 };
  const out = new Output({ type: 'done', pixels: new Uint8ClampedArray(4), settings, timings }, params, 'v1');
  const blob = await out.toBlob();
  expect(blob.type).toBe('image/png');
  expect(drawn).toEqual([out.image]);
  const text = await blob.text();
  expect(text).toContain(`iTXtdiffcr\0\0\0\0\0${JSON.stringify({ ...params, modelVersion: 'v1' })}`);
  expect(out.latents).toBeUndefined();
});
