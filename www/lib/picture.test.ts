import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { toPixels, type Picture } from './picture.ts';
import { FakeImageData } from './testing/fake.ts';

class FakeCanvas {
  readonly width: number;
  readonly height: number;
  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
  }
  getContext(kind: string) {
    if (kind !== '2d') return null;
    return {
      drawImage: (source: { fill?: number }) => void (this.fill = source.fill ?? 0),
      getImageData: () => ({ data: new Uint8ClampedArray(4 * this.width * this.height).fill(this.fill) }),
    };
  }
  fill = 7;
}
beforeEach(() => {
  vi.stubGlobal('ImageData', FakeImageData);
  vi.stubGlobal('OffscreenCanvas', FakeCanvas);
});
afterEach(() => vi.unstubAllGlobals());

// The classes are the fakes above, which the types do not know.
const picture = (value: unknown): Picture => value as Picture;

test('image data is copied, a canvas is drawn', async () => {
  const data = Uint8ClampedArray.of(1, 2, 3, 0);
  const pixels = await toPixels('image', picture(new FakeImageData(data, 1, 1)));
  expect(pixels).toEqual({ width: 1, height: 1, data });
  expect(pixels.data).not.toBe(data);
  expect(await toPixels('mask', picture(new FakeCanvas(2, 1)))).toEqual({ width: 2, height: 1, data: new Uint8ClampedArray(8).fill(7) });
});

test('a blob goes through a bitmap, which is closed', async () => {
  const bitmap = { width: 1, height: 1, fill: 9, close: vi.fn() };
  vi.stubGlobal('createImageBitmap', async () => bitmap);
  expect(await toPixels('image', new Blob(['x'], { type: 'image/jpeg' }))).toEqual({
    width: 1,
    height: 1,
    data: new Uint8ClampedArray(4).fill(9),
  });
  expect(bitmap.close).toHaveBeenCalledOnce();
});

test('values pass as they are', async () => {
  const tensor = { shape: [1, 1, 1, 2], data: Float32Array.of(0, 1) };
  expect(await toPixels('mask', tensor)).toEqual(tensor);
});

test.each([
  ['nothing', undefined],
  ['a number', 7],
  ['no pixels', new FakeCanvas(0, 5)],
  ['100 megapixels', new FakeCanvas(10_000, 10_000)],
  ['100 megapixels of data', new FakeImageData(new Uint8ClampedArray(), 10_000, 10_000)],
])('%s is refused by name', async (_, source) => {
  await expect(toPixels('mask', picture(source))).rejects.toMatchObject({ code: 'INVALID_INPUT', details: { field: 'mask' } });
});

test('a file that is no image is refused by name', async () => {
  vi.stubGlobal('createImageBitmap', async () => {
    throw new DOMException('no', 'InvalidStateError');
  });
  await expect(toPixels('image', new Blob(['text']))).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: /^image: /,
    details: { field: 'image' },
  });
});
