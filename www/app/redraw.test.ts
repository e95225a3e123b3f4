import type { InpaintOptions, Output } from 'diffcr-web';
import { beforeEach, expect, test, vi } from 'vitest';
import { FakeImageData } from '../lib/testing/fake.ts';
import { Mask } from './mask.ts';
import { softened } from './photo.ts';
import { redraw } from './redraw.ts';

beforeEach(() => void vi.stubGlobal('ImageData', FakeImageData));

/** A model that draws white wherever the mask is, with a soft edge as the engine's, and what it was asked. */
function painter(): { asked: InpaintOptions[]; model: { inpaint(options: InpaintOptions): Promise<Output> } } {
  const asked: InpaintOptions[] = [];
  return {
    asked,
    model: {
      inpaint: async (options) => {
        asked.push(options);
        const [image, mask] = [options.image as ImageData, options.mask as ImageData];
        expect([mask.width, mask.height]).toEqual([image.width, image.height]);
        const hard = Uint8Array.from({ length: image.width * image.height }, (_, i) => ((mask.data[4 * i + 3] ?? 0) > 0 ? 1 : 0));
        const weights = softened(hard, image.width, options.feather ?? 0);
        const data = image.data.map((byte, i) => byte + (255 - byte) * (weights[i >> 2] ?? 0));
        const drawn = new ImageData(data, image.width, image.height);
        return { image: drawn, withImage: (image: ImageData) => ({ image }) } as unknown as Output;
      },
    },
  };
}

const [WIDTH, HEIGHT] = [48, 36];
const photo = (): ImageData =>
  new ImageData(
    Uint8ClampedArray.from({ length: 4 * WIDTH * HEIGHT }, (_, i) => (i % 4 === 3 ? 255 : (i * 37) % 200)),
    WIDTH,
    HEIGHT,
  );
/** A mask of pixels of 3 x 3, painted from (15, 12) to before (24, 21). */
function hole(): Mask {
  const mask = new Mask(WIDTH / 3, HEIGHT / 3, 3);
  mask.stroke({ x: 6.5, y: 5.5 }, { x: 6.5, y: 5.5 }, 1.5, true);
  return mask;
}
/** Whether the hole, less `rim` pixels, has pixel `i`. */
function isHole(i: number, rim = 0): boolean {
  const [x, y] = [i % WIDTH, Math.floor(i / WIDTH)];
  return x >= 15 + rim && x < 24 - rim && y >= 12 + rim && y < 21 - rim;
}
const how = { strength: 80, feather: 0, crop: false };

test.each([
  ['whole', { ...how }, WIDTH * HEIGHT, [48, 36]],
  ['the surroundings of', { ...how, crop: true }, 1000, [25, 25]],
  ['a smaller copy of', { ...how }, 1000, [16, 12]],
  ['a smaller copy, its surroundings being too large, of', { ...how, crop: true }, 600, [16, 12]],
] as const)('given %s a photo, the engine changes the hole and no byte around it', async (_, how, most, given) => {
  const { asked, model } = painter();
  const image = photo();
  const out = await redraw(model, { prompt: 'a star' }, { image, mask: hole(), how }, most);
  const [options] = asked;
  expect([(options?.image as ImageData).width, (options?.image as ImageData).height]).toEqual(given);
  expect(options).toMatchObject({ prompt: 'a star', strength: 0.8, feather: 0, cropToMask: how.crop });
  expect([out.image.width, out.image.height]).toEqual([WIDTH, HEIGHT]);
  for (let i = 0; i < WIDTH * HEIGHT; i += 1) {
    const bytes = [...out.image.data.subarray(4 * i, 4 * i + 4)];
    if (!isHole(i)) expect(bytes, `pixel ${i}`).toEqual([...image.data.subarray(4 * i, 4 * i + 4)]);
    // The rim of one that comes from a smaller copy fades.
    else if (given[0] > 16 || isHole(i, 1)) expect(bytes, `pixel ${i}`).toEqual([255, 255, 255, 255]);
    else expect(bytes[0], `pixel ${i}`).toBeGreaterThan(image.data[4 * i] ?? 255);
  }
});

test('a soft edge is as wide in a smaller copy, and fades into the photo with all of its detail', async () => {
  const { asked, model } = painter();
  const soft = { ...how, feather: 12.5 }; // of 48 pixels: 6
  await redraw(model, {}, { image: photo(), mask: hole(), how: soft });
  expect(asked[0]).toMatchObject({ feather: 6 });
  const out = await redraw(model, {}, { image: photo(), mask: hole(), how: soft }, 1000);
  expect(asked[1]).toMatchObject({ feather: 2 });
  const old = photo().data;
  /** How much of the way to white the pixel at column x of row 16 went. */
  const gone = (x: number): number => {
    const at = 4 * (16 * WIDTH + x);
    return ((out.image.data[at] ?? 0) - (old[at] ?? 0)) / (255 - (old[at] ?? 0));
  };
  expect(gone(19)).toBe(1);
  // A third and two thirds of the way out, in the middle of pixels of the copy.
  expect(gone(25)).toBeCloseTo(2 / 3, 1);
  expect(gone(28)).toBeCloseTo(1 / 3, 1);
  for (const x of [0, 5, 34, 47]) expect(gone(x)).toBe(0);
});
