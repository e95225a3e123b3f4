/** Pictures onto canvases: at their own size, or smaller where a canvas could not hold them. */

import { MOST, shrunk } from '../photo.ts';

export function paint(canvas: HTMLCanvasElement, image: ImageData): void {
  const factor = Math.ceil(Math.sqrt((image.width * image.height) / MOST));
  const { width, height, data } = factor > 1 ? shrunk(image, factor) : image;
  resize(canvas, width, height);
  canvas.getContext('2d')?.putImageData(factor > 1 ? new ImageData(data, width, height) : image, 0, 0);
}

export function draw(canvas: HTMLCanvasElement, source: CanvasImageSource, width: number, height: number): void {
  resize(canvas, width, height);
  canvas.getContext('2d')?.drawImage(source, 0, 0);
}

function resize(canvas: HTMLCanvasElement, width: number, height: number): void {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}
