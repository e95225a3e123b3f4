/** What callers hold images in, as bytes for the worker: every byte as it is wherever the browser lets us. */

import { DiffCRError } from './errors.ts';
import { readBitmap } from './exact.ts';
import { findOrientation, upright, withoutOrientation } from './exif.ts';
import { copyTensor } from './options.ts';
import { decodeTranslucent, isDeepPng } from './png.ts';
import type { Pixels, Tensor } from './protocol.ts';

/** An image or a mask; `{ shape, data }` is an image `[1, 3, H, W]` in [-1, 1], or a mask `[1, 1, H, W]`. */
export type Picture = Blob | ImageData | ImageBitmap | HTMLCanvasElement | OffscreenCanvas | HTMLImageElement | Tensor;

/** What the engine takes, at most. */
const MAX_PIXELS = 4096 * 4096;

/** A copy of the picture's bytes; rejects with `INVALID_INPUT` naming `field` where it is none. */
export async function toPixels(field: string, source: Picture | undefined): Promise<Pixels | Tensor> {
  if (source === undefined || source === null) throw invalid(field, 'it is missing');
  if (is('Blob', source)) return await fromBlob(field, source);
  if (is('ImageData', source)) {
    checkSize(field, source.width, source.height);
    return { width: source.width, height: source.height, data: new Uint8ClampedArray(source.data) };
  }
  if (typeof source === 'object' && 'shape' in source) return copyTensor(field, source);
  if (is('HTMLImageElement', source)) {
    await source.decode().catch((cause: unknown) => {
      throw invalid(field, 'the image could not be loaded', cause);
    });
    return drawn(field, source, source.naturalWidth, source.naturalHeight);
  }
  for (const kind of ['ImageBitmap', 'HTMLCanvasElement', 'OffscreenCanvas'] as const) {
    if (is(kind, source)) return drawn(field, source, source.width, source.height);
  }
  throw invalid(field, 'it is no Blob, ImageData, ImageBitmap, canvas or image element');
}

/** A mask that is white all over, of the image's size. */
export function whiteMask(image: Pixels | Tensor): Pixels {
  const [height = 0, width = 0] = 'width' in image ? [image.height, image.width] : image.shape.slice(-2);
  return { width, height, data: new Uint8ClampedArray(4 * width * height).fill(255) };
}

/**
 * The pixels of an image file as `inpaint` and `edit` read it: upright as its EXIF says, in sRGB, and to the bit, translucent ones too.
 * Rejects with `INVALID_INPUT` where the browser cannot read the file, or it would lose what it holds (16 bits a channel).
 */
export async function readImage(file: Blob): Promise<ImageData> {
  const { width, height, data } = await fromBlob('image', file);
  return new ImageData(new Uint8ClampedArray(data), width, height);
}

/**
 * The pixels of an image file, turned upright as its EXIF says, in sRGB, and otherwise as they are stored: 8 bits of RGBA.
 * Rejects with `INVALID_INPUT` naming `field` where the browser cannot read the file, or it would lose what it holds.
 */
async function fromBlob(field: string, blob: Blob): Promise<Pixels> {
  const file = new Uint8Array(await blob.arrayBuffer());
  if (field === 'image' && isDeepPng(file)) throw invalid(field, 'a PNG of 16 bits a channel would not stay as it is: convert it to 8');
  const orientation = findOrientation(file);
  const stored = orientation === undefined ? file : withoutOrientation(file, orientation);
  const pixels = await decoded(field, stored, blob.type);
  return orientation === undefined ? pixels : upright(pixels, orientation.value);
}

/** The pixels of a file, in the order they are stored. */
async function decoded(field: string, file: Uint8Array<ArrayBuffer>, type: string): Promise<Pixels> {
  if (typeof createImageBitmap !== 'function') {
    const exact = await decodeTranslucent(file);
    if (exact === undefined) throw invalid(field, 'without a browser only PNGs with an alpha channel of 8 bits are read: give its pixels');
    checkSize(field, exact.width, exact.height);
    return exact;
  }
  // A mask's values are what they are, of whatever colours.
  const colorSpaceConversion = field === 'mask' ? 'none' : 'default';
  const options = { colorSpaceConversion, premultiplyAlpha: 'none' } as const;
  const bitmap = await createImageBitmap(new Blob([file], { type }), options).catch((cause: unknown) => {
    throw invalid(field, 'the file is no image that this browser can read', cause);
  });
  try {
    const pixels = drawn(field, bitmap, bitmap.width, bitmap.height);
    if (isOpaque(pixels)) return pixels;
    return readBitmap(bitmap) ?? (await decodeTranslucent(file)) ?? pixels;
  } finally {
    bitmap.close();
  }
}

function isOpaque({ data }: Pixels): boolean {
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) return false;
  return true;
}

function drawn(field: string, source: CanvasImageSource, width: number, height: number): Pixels {
  checkSize(field, width, height);
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (context === null) throw new DiffCRError('INTERNAL', 'the browser gives no 2d canvas');
  context.drawImage(source, 0, 0);
  return { width, height, data: context.getImageData(0, 0, width, height).data };
}

function checkSize(field: string, width: number, height: number): void {
  if (width * height === 0) throw invalid(field, `${width} x ${height} is no pixel at all`);
  if (width * height > MAX_PIXELS) throw invalid(field, `${width} x ${height} pixels are more than 4096 x 4096`);
}

function invalid(field: string, reason: string, cause?: unknown): DiffCRError {
  return new DiffCRError('INVALID_INPUT', `${field}: ${reason}`, { field }, cause);
}

interface Kinds {
  Blob: Blob;
  ImageData: ImageData;
  ImageBitmap: ImageBitmap;
  HTMLCanvasElement: HTMLCanvasElement;
  OffscreenCanvas: OffscreenCanvas;
  HTMLImageElement: HTMLImageElement;
}

/** By what it calls itself: a picture of another realm, an iframe's, is no instance of this one's class. */
function is<K extends keyof Kinds>(kind: K, value: unknown): value is Kinds[K] {
  if (typeof value !== 'object' || value === null) return false;
  const type: unknown = Reflect.get(globalThis, kind);
  if (typeof type === 'function' && value instanceof type) return true;
  const name = Object.prototype.toString.call(value).slice(8, -1);
  return name === kind || (kind === 'Blob' && name === 'File');
}
