/** Photos that are larger than what is drawn: the part or the smaller copy that the engine is given, and the way back to full size. Pure. */

import { pixelsIn, type Area } from './area.ts';
import type { Pixels } from './outpaint.ts';

/** Pixels that the engine takes, and canvases hold everywhere, at the most. */
export const MOST = 4096 * 4096;
/** Pixels of a picture that is worked on: its copies have to fit into memory. */
export const LARGEST = 2 ** 27;
/** Pixels that the engine is given at the most: its own copies are of floats, 2 GB of them for a photo of 16 million pixels. */
export const GIVEN = 2048 * 2048;

/** What of a photo the engine is given. */
export interface Part {
  readonly area: Area;
  /** Pixels of the photo, along one side, for one that is given: at 1 the engine itself puts its drawing back. */
  readonly factor: number;
}

/**
 * `redrawn`: every pixel that is, with its soft edge; `crop`: only its surroundings are looked at; `scale`: of the smaller copy, where
 * nothing else will do.
 */
export function partOf(photo: Pick<Pixels, 'width' | 'height'>, redrawn: Area, crop: boolean, scale: number, most = GIVEN): Part {
  const whole: Area = { left: 0, top: 0, right: photo.width, bottom: photo.height };
  if (pixelsIn(whole) <= most) return { area: whole, factor: 1 };
  const near = crop ? surroundings(redrawn, photo) : whole;
  return pixelsIn(near) <= most ? { area: near, factor: 1 } : { area: whole, factor: scale };
}

/** The square that the engine looks at where only the surroundings count, as far as there is room. */
function surroundings({ left, top, right, bottom }: Area, { width, height }: Pick<Pixels, 'width' | 'height'>): Area {
  const longer = Math.max(right - left, bottom - top);
  const side = longer + 2 * Math.max(0.5 * longer, 8);
  const [wide, high] = [Math.min(Math.ceil(side), width), Math.min(Math.ceil(side), height)];
  const start = (from: number, to: number, size: number, limit: number): number =>
    Math.min(limit - size, Math.max(0, from + Math.floor((to - from) / 2) - Math.floor(size / 2)));
  const [x, y] = [start(left, right, wide, width), start(top, bottom, high, height)];
  return { left: x, top: y, right: x + wide, bottom: y + high };
}

/** A copy whose pixels are each the mean of `factor` by `factor`, weighed by how much of each is seen. */
export function shrunk(
  { width, height, data }: Pixels,
  factor: number,
): { width: number; height: number; data: Uint8ClampedArray<ArrayBuffer> } {
  const [wide, high] = [Math.ceil(width / factor), Math.ceil(height / factor)];
  const out = new Uint8ClampedArray(4 * wide * high);
  for (let y = 0; y < high; y += 1) {
    const end = Math.min(height, (y + 1) * factor);
    for (let x = 0; x < wide; x += 1) {
      const last = Math.min(width, (x + 1) * factor);
      let [red, green, blue, seen] = [0, 0, 0, 0];
      for (let row = y * factor; row < end; row += 1) {
        for (let at = 4 * (row * width + x * factor); at < 4 * (row * width + last); at += 4) {
          const alpha = data[at + 3] ?? 0;
          red += alpha * (data[at] ?? 0);
          green += alpha * (data[at + 1] ?? 0);
          blue += alpha * (data[at + 2] ?? 0);
          seen += alpha;
        }
      }
      const count = (end - y * factor) * (last - x * factor);
      const to = 4 * (y * wide + x);
      out[to] = red / Math.max(seen, 1);
      out[to + 1] = green / Math.max(seen, 1);
      out[to + 2] = blue / Math.max(seen, 1);
      out[to + 3] = seen / count;
    }
  }
  return { width: wide, height: high, data: out };
}

/** How much of every pixel is redrawn: 1 where it is painted, less over `feather` pixels around, as the engine has it. `mask`: 1 where it is painted. */
export function softened(mask: Uint8Array, width: number, feather: number): Float32Array {
  const distance = Float32Array.from(mask, (painted) => (painted === 1 ? 0 : Infinity));
  const height = mask.length / Math.max(1, width);
  const near = (at: number, from: number, step: number): void => {
    distance[at] = Math.min(distance[at] ?? 0, (distance[from] ?? 0) + step);
  };
  // Along rows and diagonals, forwards and backwards: never less than the true distance.
  for (let y = 0; feather > 0 && y < height; y += 1) {
    for (let x = 0, at = y * width; x < width; x += 1, at += 1) {
      if (x > 0) near(at, at - 1, 1);
      if (y === 0) continue;
      near(at, at - width, 1);
      if (x > 0) near(at, at - width - 1, Math.SQRT2);
      if (x < width - 1) near(at, at - width + 1, Math.SQRT2);
    }
  }
  for (let y = height - 1; feather > 0 && y >= 0; y -= 1) {
    for (let x = width - 1, at = y * width + x; x >= 0; x -= 1, at -= 1) {
      if (x < width - 1) near(at, at + 1, 1);
      if (y === height - 1) continue;
      near(at, at + width, 1);
      if (x < width - 1) near(at, at + width + 1, Math.SQRT2);
      if (x > 0) near(at, at + width - 1, Math.SQRT2);
    }
  }
  return distance.map((pixels) => Math.max(0, 1 - pixels / (feather + 1)));
}

/** A copy of a photo, and what the engine made of it. */
export interface Drawing {
  /** Pixels of the photo, along one side, for one of the copy. */
  readonly factor: number;
  readonly copy: Pixels;
  readonly drawn: Pixels;
  /** How much of every pixel of the copy was redrawn. */
  readonly weights: Float32Array;
}

/**
 * The photo with a drawing in its place: enlarged, and with the detail that its copy lacked as far as a pixel was not redrawn. One that was
 * not at all keeps its bytes.
 */
export function pasted(photo: Pixels, { factor, copy, drawn, weights }: Drawing): Uint8ClampedArray<ArrayBuffer> {
  const data = new Uint8ClampedArray(photo.data);
  const { width, height } = drawn;
  for (let row = 0; row < height; row += 1) {
    const line = weights.subarray(row * width, (row + 1) * width);
    const first = line.findIndex((weight) => weight > 0);
    if (first < 0) continue;
    const end = line.findLastIndex((weight) => weight > 0) + 1;
    for (let y = row * factor; y < Math.min(photo.height, (row + 1) * factor); y += 1) {
      const [above, below, down] = neighbours((y + 0.5) / factor - 0.5, height);
      for (let x = first * factor; x < Math.min(photo.width, end * factor); x += 1) {
        if (!((line[Math.floor(x / factor)] ?? 0) > 0)) continue;
        const [before, after, across] = neighbours((x + 0.5) / factor - 0.5, width);
        const [a, b, c, d] = [above * width + before, above * width + after, below * width + before, below * width + after];
        const mixed = (values: ArrayLike<number>, size: number, of: number): number =>
          ((values[size * a + of] ?? 0) * (1 - across) + (values[size * b + of] ?? 0) * across) * (1 - down) +
          ((values[size * c + of] ?? 0) * (1 - across) + (values[size * d + of] ?? 0) * across) * down;
        const weight = mixed(weights, 1, 0);
        const to = 4 * (y * photo.width + x);
        const alpha = data[to + 3] ?? 0;
        const under = (alpha / 255) * (1 - weight);
        const kept = under / Math.max(under + weight, 1e-6);
        for (let color = 0; color < 3; color += 1) {
          const detail = (data[to + color] ?? 0) - mixed(copy.data, 4, color);
          data[to + color] = mixed(drawn.data, 4, color) + kept * detail;
        }
        data[to + 3] = alpha + (255 - alpha) * weight;
      }
    }
  }
  return data;
}

/** The two places around one, inside of `length`, and how far it is from the first to the second. */
function neighbours(place: number, length: number): readonly [number, number, number] {
  const held = Math.min(length - 1, Math.max(0, place));
  const first = Math.floor(held);
  return [first, Math.min(length - 1, first + 1), held - first];
}
