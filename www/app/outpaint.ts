/** A picture that is enlarged: what is new continues the colours of its edge. */

import { FINEST, NO_MARGINS, type Margins, type Mask } from './mask.ts';
import { LARGEST } from './photo.ts';

/** RGBA, as an `ImageData` has it. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

/** The share of a side that one press adds to it. */
const STEP = 0.25;

/** Pixels that one press adds to a side `length` long. */
function addition(length: number): number {
  return Math.max(1, Math.round(length * STEP));
}

/** What one press adds to a side, in pixels of the mask; nothing where the picture would be too large. */
export function oneMore(side: keyof Margins, { width, height, scale }: Pick<Mask, 'width' | 'height' | 'scale'>): Margins {
  const [length, other] = side === 'left' || side === 'right' ? [width, height] : [height, width];
  const grown = length + addition(length);
  const tooLarge = grown * other > 2 * FINEST * FINEST || grown * other * scale * scale > LARGEST;
  return tooLarge ? NO_MARGINS : { ...NO_MARGINS, [side]: grown - length };
}

/** The picture with what its mask adds to it. */
export function enlarged(image: ImageData, { margins, scale }: Mask): ImageData {
  const { left, top, right, bottom } = margins;
  const { width, height, data } = extended(image, {
    left: left * scale,
    top: top * scale,
    right: right * scale,
    bottom: bottom * scale,
  });
  return new ImageData(data, width, height);
}

/** The picture with `margins` around it, of the colours of its edge. */
export function extended(
  image: Pixels,
  { left, top, right, bottom }: Margins,
): { width: number; height: number; data: Uint8ClampedArray<ArrayBuffer> } {
  const [width, height] = [left + image.width + right, top + image.height + bottom];
  const from = new Uint32Array(image.data.buffer, image.data.byteOffset, image.width * image.height);
  const to = new Uint32Array(width * height);
  for (let y = 0; y < image.height; y += 1) {
    const row = from.subarray(y * image.width, (y + 1) * image.width);
    const start = (top + y) * width;
    to.fill(row[0] ?? 0, start, start + left);
    to.set(row, start + left);
    to.fill(row.at(-1) ?? 0, start + left + image.width, start + width);
  }
  for (let y = 0; y < top; y += 1) to.copyWithin(y * width, top * width, (top + 1) * width);
  const last = top + image.height - 1;
  for (let y = last + 1; y < height; y += 1) to.copyWithin(y * width, last * width, (last + 1) * width);
  return { width, height, data: new Uint8ClampedArray(to.buffer) };
}
