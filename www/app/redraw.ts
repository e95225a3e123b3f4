/** A part of a picture drawn anew at the picture's own size, however large that is. */

import type { GenerateOptions, Output, Pipeline } from 'diffcr-web';
import { cut, put, type Area } from './area.ts';
import { featherOf } from './form.ts';
import type { Mask } from './mask.ts';
import { GIVEN, partOf, pasted, shrunk, softened } from './photo.ts';
import type { Retouch } from './state.ts';

export interface Redraw {
  readonly image: ImageData;
  /** Over the whole image. */
  readonly mask: Mask;
  readonly how: Pick<Retouch, 'strength' | 'feather' | 'crop'>;
}

/** `most`: pixels that the engine is given. */
export async function redraw(
  model: Pick<Pipeline, 'inpaint'>,
  options: GenerateOptions,
  { image, mask, how }: Redraw,
  most = GIVEN,
): Promise<Output> {
  const { width, height } = image;
  const feather = featherOf(how.feather, image);
  const { area, factor } = partOf(image, redrawn(mask, feather, image), how.crop, mask.scale, most);
  const [wide, high] = [area.right - area.left, area.bottom - area.top];
  const settings = { ...options, strength: how.strength / 100, cropToMask: how.crop };
  if (factor === 1) {
    const whole = wide === width && high === height;
    const part = whole ? image : new ImageData(cut(image.data, width, area, 4), wide, high);
    const out = await model.inpaint({ ...settings, image: part, mask: maskImage(mask.over(area), wide, high), feather });
    if (whole) return out;
    const data = new Uint8ClampedArray(image.data);
    put(data, width, area, out.image.data, 4);
    return out.withImage(new ImageData(data, width, height));
  }
  const copy = shrunk(image, factor);
  const small = new ImageData(copy.data, copy.width, copy.height);
  const hard = maskImage(mask.bytes, mask.width, mask.height);
  const out = await model.inpaint({ ...settings, image: small, mask: hard, feather: feather / factor });
  const weights = softened(mask.bytes, mask.width, feather / factor);
  return out.withImage(new ImageData(pasted(image, { factor, copy, drawn: out.image, weights }), width, height));
}

/** Every pixel that is redrawn at all, its soft edge with it. */
function redrawn({ bounds, scale }: Mask, feather: number, { width, height }: ImageData): Area {
  return {
    left: Math.max(0, bounds.left * scale - feather),
    top: Math.max(0, bounds.top * scale - feather),
    right: Math.min(width, bounds.right * scale + feather),
    bottom: Math.min(height, bounds.bottom * scale + feather),
  };
}

/** White where a byte is 1, transparent elsewhere. */
function maskImage(bytes: Uint8Array, width: number, height: number): ImageData {
  const words = Uint32Array.from(bytes, (painted) => (painted === 1 ? 0xffffffff : 0));
  return new ImageData(new Uint8ClampedArray(words.buffer), width, height);
}
