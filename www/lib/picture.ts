/** What callers hold images in, as bytes for the worker: every byte as it is wherever the browser lets us. */

import { DiffCRError } from './errors.ts';
import { copyTensor } from './options.ts';
import { decodeTranslucent } from './png.ts';
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

async function fromBlob(field: string, blob: Blob): Promise<Pixels> {
  const exact = await decodeTranslucent(new Uint8Array(await blob.arrayBuffer()));
  if (exact !== undefined) {
    checkSize(field, exact.width, exact.height);
    return exact;
  }
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' }).catch((cause: unknown) => {
    throw invalid(field, 'the file is no image that this browser can read', cause);
  });
  try {
    return drawn(field, bitmap, bitmap.width, bitmap.height);
  } finally {
    bitmap.close();
  }
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
