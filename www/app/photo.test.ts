import { expect, test } from 'vitest';
import { partOf, pasted, shrunk, softened, type Drawing } from './photo.ts';
import type { Pixels } from './outpaint.ts';

const noise = (width: number, height: number): Pixels => ({
  width,
  height,
  data: Uint8ClampedArray.from({ length: 4 * width * height }, (_, i) => (i % 4 === 3 ? 255 : (i * 73 + (i >> 4) * 31) % 256)),
});
const plain = (width: number, height: number, color: readonly number[]): Pixels => ({
  width,
  height,
  data: Uint8ClampedArray.from({ length: 4 * width * height }, (_, i) => color[i % 4] ?? 0),
});

test('the engine is given all that it takes, else the surroundings as they are, else a smaller copy', () => {
  const hole = { left: 100, top: 100, right: 140, bottom: 120 };
  const all = { left: 0, top: 0, right: 300, bottom: 300 };
  const photo = { width: 300, height: 300 };
  expect(partOf(photo, hole, true, 3, 90_000)).toEqual({ area: all, factor: 1 });
  expect(partOf(photo, hole, true, 3, 89_999)).toEqual({ area: { left: 80, top: 70, right: 160, bottom: 150 }, factor: 1 });
  expect(partOf(photo, hole, false, 3, 89_999)).toEqual({ area: all, factor: 3 });
  expect(partOf(photo, hole, true, 3, 6399)).toEqual({ area: all, factor: 3 });
  // In a corner it is shifted, not cut; a photo that is narrow gives what it has.
  expect(partOf(photo, { left: 0, top: 0, right: 40, bottom: 20 }, true, 3, 1e4).area).toEqual({ left: 0, top: 0, right: 80, bottom: 80 });
  expect(partOf({ width: 20, height: 300 }, { left: 5, top: 100, right: 15, bottom: 110 }, true, 3, 1000).area).toEqual({
    left: 0,
    top: 92,
    right: 20,
    bottom: 118,
  });
});

test('a smaller copy has the means of what it stands for', () => {
  const { width, height, data } = shrunk({ width: 3, height: 1, data: Uint8ClampedArray.of(10, 0, 0, 255, 30, 0, 0, 255, 9, 8, 7, 0) }, 2);
  expect([width, height, [...data]]).toEqual([2, 1, [20, 0, 0, 255, 0, 0, 0, 0]]);
  // What nobody sees has no say.
  expect([...shrunk({ width: 2, height: 1, data: Uint8ClampedArray.of(200, 1, 2, 255, 90, 90, 90, 0) }, 2).data]).toEqual([200, 1, 2, 128]);
});

test('a soft edge falls from the mask outwards and ends', () => {
  const mask = Uint8Array.from({ length: 81 }, (_, i) => (i === 40 ? 1 : 0));
  const weights = softened(mask, 9, 3);
  expect([...weights.subarray(36, 45)]).toEqual([0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0]);
  for (const corner of [30, 32, 48, 50]) expect(weights[corner]).toBeCloseTo(1 - Math.SQRT2 / 4, 5);
  expect([...softened(mask, 9, 0)].filter((weight) => weight > 0)).toEqual([1]);
  expect([...softened(new Uint8Array(4), 2, 5)]).toEqual([0, 0, 0, 0]);
});

test("outside of the mask every byte is the photo's, inside it is the drawing, and between the two it fades", () => {
  const photo = noise(34, 30); // the last column of the copy stands for one pixel
  const copy = shrunk(photo, 3);
  /** The columns of the copy from 4 to before 8. */
  const mask = Uint8Array.from({ length: copy.width * copy.height }, (_, i) => (i % copy.width >= 4 && i % copy.width < 8 ? 1 : 0));
  const color = [9, 99, 199, 255];
  /** What the engine makes of the copy. */
  const drawing = (feather: number): Drawing => {
    const weights = softened(mask, copy.width, feather);
    const data = copy.data.map((byte, i) => byte + ((color[i % 4] ?? 0) - byte) * (weights[i >> 2] ?? 0));
    return { factor: 3, copy, drawn: { ...copy, data }, weights };
  };
  const out = pasted(photo, drawing(2));
  const pixel = (x: number, y: number): number[] => [...out.subarray(4 * (34 * y + x), 4 * (34 * y + x) + 4)];
  const old = (x: number, y: number): number[] => [...photo.data.subarray(4 * (34 * y + x), 4 * (34 * y + x) + 4)];
  for (let y = 0; y < 30; y += 1) {
    for (const x of [0, 3, 5, 30, 33]) expect(pixel(x, y), `${x}, ${y}`).toEqual(old(x, y));
    for (const x of [14, 18, 21]) expect(pixel(x, y), `${x}, ${y}`).toEqual(color);
  }
  /** How far a column is from the drawing, of how far it was. */
  const far = [7, 10, 12].map((x) => {
    const rows = Array.from({ length: 30 }, (_, y) => y);
    const sum = (of: (x: number, y: number) => number[]): number => rows.reduce((sum, y) => sum + Math.abs((of(x, y)[2] ?? 0) - 199), 0);
    return sum(pixel) / sum(old);
  });
  expect(far[0]).toBeGreaterThan(far[1] ?? 1);
  expect(far[1]).toBeGreaterThan(far[2] ?? 1);

  const hard = pasted(photo, drawing(0));
  const changed = Array.from({ length: 34 * 30 }, (_, i) => hard[4 * i] !== photo.data[4 * i]);
  expect(changed.every((differs, i) => !differs || (i % 34 >= 12 && i % 34 < 24))).toBe(true);
});

test('what lies between two painted parts keeps its bytes', () => {
  const photo = noise(30, 6);
  const copy = shrunk(photo, 3);
  const weights = Float32Array.from({ length: 20 }, (_, i) => (i % 10 === 2 || i % 10 === 4 ? 1 : 0));
  const out = pasted(photo, { factor: 3, copy, drawn: plain(10, 2, [1, 250, 1, 255]), weights });
  const changed = Array.from({ length: 30 }, (_, x) => out[4 * (30 * 2 + x)] !== photo.data[4 * (30 * 2 + x)]);
  expect(changed.flatMap((differs, x) => (differs ? [Math.floor(x / 3)] : [])).filter((x, i, all) => all.indexOf(x) === i)).toEqual([2, 4]);
});

test('what is drawn over something transparent is opaque', () => {
  const [copy, drawn] = [plain(1, 1, [0, 0, 0, 0]), plain(1, 1, [50, 60, 70, 255])];
  const out = pasted(plain(2, 2, [1, 2, 3, 0]), { factor: 2, copy, drawn, weights: Float32Array.of(1) });
  expect([...out.subarray(0, 4)]).toEqual([50, 60, 70, 255]);
});
