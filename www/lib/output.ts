/** The picture a run ends with, and everything needed to make it again. */

import { guarded } from './guard.ts';
import { encodePng, withText } from './png.ts';
import type { InpaintSettings, ReplyOf, RoutingRecord, RunFlops, RunSettings, RunWarning, Tensor, Timings } from './protocol.ts';

/** The parameters of a run, completed with the defaults it took. */
export interface RunParams extends RunSettings {
  readonly prompt: string;
  readonly negativePrompt: string;
  /** How an image was inpainted; `width` and `height` are then the size it was worked on at. */
  readonly inpaint?: InpaintSettings;
}

export class Output {
  readonly image: ImageData;
  readonly seed: number;
  readonly params: RunParams;
  readonly timings: Timings;
  readonly flops: RunFlops;
  /** What of the request was left out: the end of a prompt that is too long. */
  readonly warnings: readonly RunWarning[];
  /** Hash over the model's files. */
  readonly modelVersion: string;
  /** The final latents, where `returnLatents` asked for them. */
  readonly latents?: Tensor;
  /** Which tokens every layer kept, where `returnRouting` asked for it. */
  readonly routing?: RoutingRecord;

  /** @internal */
  constructor(done: ReplyOf<'done'>, params: RunParams, modelVersion: string) {
    this.image = imageData(done.pixels, done.width, done.height);
    this.seed = params.seed;
    this.params = params;
    this.timings = done.timings;
    this.flops = done.flops;
    this.warnings = done.warnings;
    this.modelVersion = modelVersion;
    if (done.latents !== undefined) this.latents = done.latents;
    if (done.routing !== undefined) this.routing = done.routing;
  }

  /** The same run with another picture in the place of its own: what a page made of it. */
  withImage({ data, width, height }: ImageData): Output {
    const { timings, flops, warnings, latents, routing } = this;
    const more = { ...(latents === undefined ? {} : { latents }), ...(routing === undefined ? {} : { routing }) };
    const pixels = data;
    const done = { type: 'done', pixels, width, height, settings: this.params, timings, flops, warnings, ...more } as const;
    return new Output(done, this.params, this.modelVersion);
  }

  /** Rejects with `INTERNAL` where there are no bitmaps, in Node. */
  toBitmap(): Promise<ImageBitmap> {
    return guarded(() => createImageBitmap(this.image));
  }

  /** A PNG with the parameters and the model's version inside, as an `iTXt` chunk named `diffcr`. */
  toBlob(type: 'image/png' = 'image/png'): Promise<Blob> {
    return guarded(() => this.#png(type));
  }

  async #png(type: 'image/png'): Promise<Blob> {
    const text = JSON.stringify({ ...this.params, modelVersion: this.modelVersion });
    // A canvas would round the colours of what is translucent.
    const plain =
      translucent(this.image) || typeof OffscreenCanvas === 'undefined'
        ? await encodePng(this.image)
        : await throughCanvas(this.image, type);
    return new Blob([withText(plain, 'diffcr', text)], { type });
  }
}

/** The platform's, or in Node an object with the same properties. */
function imageData(data: Uint8ClampedArray<ArrayBuffer>, width: number, height: number): ImageData {
  if (typeof ImageData === 'function') return new ImageData(data, width, height);
  return { data, width, height, colorSpace: 'srgb' };
}

function translucent({ data }: ImageData): boolean {
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) return true;
  return false;
}

async function throughCanvas(image: ImageData, type: string): Promise<Uint8Array<ArrayBuffer>> {
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext('2d')?.putImageData(image, 0, 0);
  return new Uint8Array(await (await canvas.convertToBlob({ type })).arrayBuffer());
}
