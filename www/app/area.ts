/** Boxes of pixels, and what lies in them. */

/** From `left`, `top` to before `right`, `bottom`. */
export interface Area {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export const NOTHING: Area = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };

export function isEmpty({ left, top, right, bottom }: Area): boolean {
  return right <= left || bottom <= top;
}

/** Pixels in an area. */
export function pixelsIn({ left, top, right, bottom }: Area): number {
  return Math.max(0, right - left) * Math.max(0, bottom - top);
}

/** The least area with both in it. */
export function around(a: Area, b: Area): Area {
  return {
    left: Math.min(a.left, b.left),
    top: Math.min(a.top, b.top),
    right: Math.max(a.right, b.right),
    bottom: Math.max(a.bottom, b.bottom),
  };
}

/** The rows of an area of a picture `width` wide, one after the other; `size`: values of a pixel. */
export function cut<T extends Uint8Array | Uint8ClampedArray>(pixels: T, width: number, { left, top, right, bottom }: Area, size = 1): T {
  const wide = Math.max(0, right - left) * size;
  const out = new (pixels.constructor as new (length: number) => T)(wide * Math.max(0, bottom - top));
  for (let y = top; y < bottom; y += 1) {
    const start = (y * width + left) * size;
    out.set(pixels.subarray(start, start + wide), (y - top) * wide);
  }
  return out;
}

/** Puts rows, as {@link cut} gives them, in their place. */
export function put<T extends Uint8Array | Uint8ClampedArray>(pixels: T, width: number, area: Area, rows: T, size = 1): void {
  const wide = Math.max(0, area.right - area.left) * size;
  for (let y = area.top; y < area.bottom; y += 1) {
    const row = (y - area.top) * wide;
    pixels.set(rows.subarray(row, row + wide), (y * width + area.left) * size);
  }
}
