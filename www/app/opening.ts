/** Files that the reader brings: to pixels, or to the settings that a picture of ours was drawn with. */

import { DiffCRError, readImage, readParams, type PictureParams } from 'diffcr-web';
import { LARGEST, MOST } from './photo.ts';

/** Along the longer side of a drawing that says no size of its own, or a smaller one than is worth drawing on. */
const DRAWING = 1024;

/** A picture, and what it was drawn with where it is one of ours. */
export interface Opened {
  readonly image: ImageData;
  readonly params: PictureParams | undefined;
}

/** Whether a file is, by its name or type, a zip: a model, then. */
export function isZip(file: Blob): boolean {
  return file.type === 'application/zip' || (file instanceof File && /\.zip$/i.test(file.name));
}

/** Rejects with `INVALID_INPUT` naming what is wrong with the file. */
export async function openPicture(file: Blob): Promise<Opened> {
  const name = file instanceof File && file.name !== '' ? file.name : 'the file';
  const refuse = (reason: string, cause?: unknown): never => {
    throw new DiffCRError('INVALID_INPUT', `image: ${name} ${reason}`, { field: 'image' }, cause);
  };
  if (file.type !== '' && !file.type.startsWith('image/')) refuse(`is no image, but ${file.type}`);
  const params = await readParams(file).catch(() => undefined);
  try {
    if (file.type === 'image/svg+xml' || /\.svg$/i.test(name)) return { image: await drawn(file), params };
    const size = await sizeOf(file);
    const pixels = size === undefined ? 0 : size.width * size.height;
    if (pixels > LARGEST) refuse(`has ${size?.width} × ${size?.height} pixels; this page takes up to ${Math.floor(LARGEST / 1e6)} million`);
    return { image: await (pixels > MOST ? readInStrips(file) : readImage(file)), params };
  } catch (cause) {
    const format = await formatOf(file);
    if (format !== undefined) return refuse(`is ${format}, and this browser cannot read it: save it as JPEG or PNG`, cause);
    if (cause instanceof DiffCRError) throw new DiffCRError(cause.code, cause.message.replace('the file', name), cause.details, cause);
    return refuse('is no image that this browser can read', cause);
  }
}

/** The name of a format that not every browser reads, by the brands at the file's beginning or by its type or name; undefined for others. */
export async function formatOf(file: Blob): Promise<'HEIC' | 'AVIF' | undefined> {
  const head = new TextDecoder('latin1').decode(await file.slice(0, 64).arrayBuffer());
  const brands = head.slice(4, 8) === 'ftyp' ? head.slice(8) : '';
  const name = file instanceof File ? file.name : '';
  const says = (pattern: RegExp): boolean => pattern.test(file.type) || pattern.test(name);
  if (/avi[fs]/.test(brands) || says(/\bavif$/i)) return 'AVIF';
  return /he[iv][cmsx]|mif1|msf1/.test(brands) || says(/\bhei[cf]$/i) ? 'HEIC' : undefined;
}

/** The size of an image file, which is there before its pixels are; undefined where it is none. */
async function sizeOf(file: Blob): Promise<{ width: number; height: number } | undefined> {
  if (typeof Image === 'undefined') return undefined;
  const image = new Image();
  const there = new Promise<boolean>((resolve) => {
    image.onload = () => resolve(true);
    image.onerror = () => resolve(false);
  });
  image.src = URL.createObjectURL(file);
  const found = await there;
  URL.revokeObjectURL(image.src);
  return found ? { width: image.naturalWidth, height: image.naturalHeight } : undefined;
}

/** A photo that is larger than what `readImage` takes, and than what some browsers' canvases hold. */
async function readInStrips(file: Blob): Promise<ImageData> {
  const bitmap = await createImageBitmap(file, { premultiplyAlpha: 'none' });
  try {
    const { width, height } = bitmap;
    const rows = Math.max(1, Math.floor(MOST / 4 / width));
    const context = new OffscreenCanvas(width, rows).getContext('2d', { willReadFrequently: true });
    if (context === null) throw new DiffCRError('INTERNAL', 'the browser gives no 2d canvas');
    const data = new Uint8ClampedArray(4 * width * height);
    for (let y = 0; y < height; y += rows) {
      context.clearRect(0, 0, width, rows);
      context.drawImage(bitmap, 0, -y);
      data.set(context.getImageData(0, 0, width, Math.min(rows, height - y)).data, 4 * width * y);
    }
    return new ImageData(data, width, height);
  } finally {
    bitmap.close();
  }
}

/** The size in pixels at which a vector drawing becomes a picture. */
export function rasterSize(width: number, height: number): { width: number; height: number } {
  if (width === 0 || height === 0) return { width: DRAWING, height: DRAWING };
  const longer = Math.max(width, height);
  const scale = Math.min(4 * DRAWING, Math.max(DRAWING, longer)) / longer;
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** A vector drawing, which bitmaps are not made of. */
async function drawn(file: Blob): Promise<ImageData> {
  const source = new Image();
  source.src = URL.createObjectURL(file.type === 'image/svg+xml' ? file : new Blob([file], { type: 'image/svg+xml' }));
  try {
    await source.decode();
    const { width, height } = rasterSize(source.naturalWidth, source.naturalHeight);
    const context = new OffscreenCanvas(width, height).getContext('2d');
    if (context === null) throw new DiffCRError('INTERNAL', 'the browser gives no 2d canvas');
    context.drawImage(source, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
  } finally {
    URL.revokeObjectURL(source.src);
  }
}
