/** How a camera was held: the orientation that pictures carry in EXIF, whatever their format, and pixels turned by it. */

import type { Pixels } from './protocol.ts';

/** Where an orientation other than upright is written. */
interface Orientation {
  /** 2 … 8, as TIFF counts them. */
  readonly value: number;
  /** Byte of the value. */
  readonly at: number;
  readonly littleEndian: boolean;
}

const ORIENTATION_TAG = 0x0112;

/** The orientation of a JPEG, PNG or WebP; undefined where it is upright, or says nothing. */
export function findOrientation(bytes: Uint8Array): Orientation | undefined {
  const start = jpegExif(bytes) ?? pngExif(bytes) ?? webpExif(bytes);
  return start === undefined ? undefined : tiffOrientation(bytes, start);
}

/** A copy of the file that says it is upright, so that no decoder turns it. */
export function withoutOrientation(bytes: Uint8Array<ArrayBuffer>, { at, littleEndian }: Orientation): Uint8Array<ArrayBuffer> {
  const copy = bytes.slice();
  new DataView(copy.buffer).setUint16(at, 1, littleEndian);
  return copy;
}

/** Pixels as they are to be seen. */
export function upright({ width, height, data }: Pixels, orientation: number): Pixels {
  // From a place in the upright picture to the one in the stored one: mirrored in x, mirrored in y, and x for y.
  const [mirrorX, mirrorY, swapped] = TURNS[orientation] ?? [false, false, false];
  const [w, h] = swapped ? [height, width] : [width, height];
  const from = new Uint32Array(data.buffer, data.byteOffset, width * height);
  const to = new Uint32Array(width * height);
  for (let y = 0; y < h; y += 1) {
    for (let x = 0; x < w; x += 1) {
      const [column, row] = swapped ? [y, x] : [x, y];
      const source = (mirrorY ? height - 1 - row : row) * width + (mirrorX ? width - 1 - column : column);
      to[y * w + x] = from[source] ?? 0;
    }
  }
  return { width: w, height: h, data: new Uint8ClampedArray(to.buffer) };
}

const TURNS: Readonly<Partial<Record<number, readonly [boolean, boolean, boolean]>>> = {
  2: [true, false, false],
  3: [true, true, false],
  4: [false, true, false],
  5: [false, false, true],
  6: [false, true, true],
  7: [true, true, true],
  8: [true, false, true],
};

/** Byte of the TIFF header in the first `APP1` of EXIF. */
function jpegExif(bytes: Uint8Array): number | undefined {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return undefined;
  for (let at = 2; bytes[at] === 0xff && at + 4 < bytes.length;) {
    const [marker, length] = [bytes[at + 1], word(bytes, at + 2)];
    if (marker === 0xe1 && text(bytes, at + 4, 6) === 'Exif\0\0') return at + 10;
    if (marker === 0xda) return undefined; // what follows are pixels
    at += 2 + length;
  }
  return undefined;
}

function pngExif(bytes: Uint8Array): number | undefined {
  if (text(bytes, 1, 3) !== 'PNG') return undefined;
  for (let at = 8; at + 12 <= bytes.length; at += 12 + double(bytes, at)) {
    const kind = text(bytes, at + 4, 4);
    if (kind === 'eXIf') return at + 8;
    if (kind === 'IEND') return undefined;
  }
  return undefined;
}

function webpExif(bytes: Uint8Array): number | undefined {
  if (text(bytes, 0, 4) !== 'RIFF' || text(bytes, 8, 4) !== 'WEBP') return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 12; at + 8 <= bytes.length;) {
    const length = view.getUint32(at + 4, true);
    // Some writers keep the beginning that JPEG needs.
    if (text(bytes, at, 4) === 'EXIF') return text(bytes, at + 8, 6) === 'Exif\0\0' ? at + 14 : at + 8;
    at += 8 + length + (length % 2);
  }
  return undefined;
}

/** The orientation in the first directory of the TIFF that begins at `start`. */
function tiffOrientation(bytes: Uint8Array, start: number): Orientation | undefined {
  const order = text(bytes, start, 2);
  if ((order !== 'II' && order !== 'MM') || start + 8 > bytes.length) return undefined;
  const littleEndian = order === 'II';
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const directory = start + view.getUint32(start + 4, littleEndian);
  if (directory + 2 > bytes.length) return undefined;
  const entries = view.getUint16(directory, littleEndian);
  for (let i = 0; i < entries; i += 1) {
    const entry = directory + 2 + 12 * i;
    if (entry + 12 > bytes.length) return undefined;
    if (view.getUint16(entry, littleEndian) !== ORIENTATION_TAG) continue;
    const value = view.getUint16(entry + 8, littleEndian);
    return value >= 2 && value <= 8 ? { value, at: entry + 8, littleEndian } : undefined;
  }
  return undefined;
}

function text(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function double(bytes: Uint8Array, at: number): number {
  return word(bytes, at) * 0x1_0000 + word(bytes, at + 2);
}
