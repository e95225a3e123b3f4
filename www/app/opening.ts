/** Files that the reader brings: to pixels, or to the settings that a picture of ours was drawn with. */

import { DiffCRError, readImage, readParams, type PictureParams } from 'diffcr-web';

/** Pixels along the longer side that are worked on. */
const LARGEST = 4096;

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
  if (/hei[cf]/i.test(file.type) || /\.hei[cf]$/i.test(name)) refuse('is HEIC, which browsers do not read: save it as JPEG or PNG');
  if (file.type !== '' && !file.type.startsWith('image/')) refuse(`is no image, but ${file.type}`);
  const params = await readParams(file).catch(() => undefined);
  const read = file.type === 'image/svg+xml' ? drawn(file) : readImage(file);
  const image = await read.catch((cause: unknown) => {
    if (cause instanceof DiffCRError) throw new DiffCRError(cause.code, cause.message.replace('the file', name), cause.details, cause);
    return refuse('is no image that this browser can read', cause);
  });
  const { width, height } = image;
  if (width * height > LARGEST * LARGEST) refuse(`has ${width} × ${height} pixels, more than ${LARGEST} × ${LARGEST}`);
  return { image, params };
}

/** A vector drawing, which bitmaps are not made of. */
async function drawn(file: Blob): Promise<ImageData> {
  const source = new Image();
  source.src = URL.createObjectURL(file);
  try {
    await source.decode();
    const { naturalWidth: width, naturalHeight: height } = source;
    const context = new OffscreenCanvas(width, height).getContext('2d');
    if (context === null) throw new DiffCRError('INTERNAL', 'the browser gives no 2d canvas');
    context.drawImage(source, 0, 0);
    return context.getImageData(0, 0, width, height);
  } finally {
    URL.revokeObjectURL(source.src);
  }
}
