/** Files that the reader brings: to pixels, or to the settings that a picture of ours was drawn with. */

import { DiffCRError, readParams, type PictureParams } from 'diffcr-web';

/** Pixels along the longer side that are worked on. */
const LARGEST = 4096;

/** A picture, and what it was drawn with where it is one of ours. */
export interface Opened {
  readonly image: ImageData;
  readonly params: PictureParams | undefined;
}

/** Rejects with `INVALID_INPUT` naming what is wrong with the file. */
export async function openPicture(file: Blob): Promise<Opened> {
  const name = file instanceof File && file.name !== '' ? file.name : 'the file';
  const refuse = (reason: string, cause?: unknown): never => {
    throw new DiffCRError('INVALID_INPUT', `image: ${name} ${reason}`, { field: 'image' }, cause);
  };
  if (/hei[cf]/i.test(file.type) || /\.hei[cf]$/i.test(name)) refuse('is HEIC, which browsers do not read: save it as JPEG or PNG');
  if (file.type !== '' && !file.type.startsWith('image/')) refuse(`is no image, but ${file.type}`);
  const params = await readParams(file).catch(() => undefined);
  const bitmap = await bitmapOf(file).catch((cause: unknown) => refuse('is no image that this browser can read', cause));
  const { width, height } = bitmap;
  if (width * height > LARGEST * LARGEST) refuse(`has ${width} × ${height} pixels, more than ${LARGEST} × ${LARGEST}`);
  const context = new OffscreenCanvas(width, height).getContext('2d');
  context?.drawImage(bitmap, 0, 0);
  if ('close' in bitmap) bitmap.close();
  const image = context?.getImageData(0, 0, width, height) ?? refuse('cannot be drawn here');
  return { image, params };
}

/** Of a vector drawing too, which bitmaps are not made of. */
async function bitmapOf(file: Blob): Promise<ImageBitmap | HTMLImageElement> {
  if (file.type !== 'image/svg+xml') return await createImageBitmap(file);
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
  } finally {
    URL.revokeObjectURL(image.src);
  }
  return image;
}
