/** Small copies of large pictures, for lists. */

import { shrunk } from './photo.ts';

/** Pixels along the longer side: twice what a list shows, for fine screens. */
const SIDE = 192;

/** A PNG of a smaller copy; undefined where the picture is small itself. */
export async function thumbnail(image: ImageData): Promise<Blob | undefined> {
  const factor = Math.floor(Math.max(image.width, image.height) / SIDE);
  if (factor < 4) return undefined;
  const { width, height, data } = shrunk(image, factor);
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d')?.putImageData(new ImageData(data, width, height), 0, 0);
  return await canvas.convertToBlob();
}
