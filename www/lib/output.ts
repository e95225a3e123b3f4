/** The picture a run ends with, and everything needed to make it again. */

import { withText } from './png.ts';
import type { ReplyOf, RunSettings, Tensor, Timings } from './protocol.ts';

/** The parameters of a run, completed with the defaults it took. */
export interface RunParams extends RunSettings {
  readonly prompt: string;
  readonly negativePrompt: string;
}

export class Output {
  readonly image: ImageData;
  readonly seed: number;
  readonly params: RunParams;
  readonly timings: Timings;
  /** Hash over the model's files. */
  readonly modelVersion: string;
  /** The final latents, where `returnLatents` asked for them. */
  readonly latents?: Tensor;

  constructor(done: ReplyOf<'done'>, params: RunParams, modelVersion: string) {
    this.image = new ImageData(done.pixels, params.width, params.height);
    this.seed = params.seed;
    this.params = params;
    this.timings = done.timings;
    this.modelVersion = modelVersion;
    if (done.latents !== undefined) this.latents = done.latents;
  }

  toBitmap(): Promise<ImageBitmap> {
    return createImageBitmap(this.image);
  }

  /** A PNG with the parameters and the model's version inside, as an `iTXt` chunk named `diffcr`. */
  async toBlob(type: 'image/png' = 'image/png'): Promise<Blob> {
    const canvas = new OffscreenCanvas(this.image.width, this.image.height);
    canvas.getContext('2d')?.putImageData(this.image, 0, 0);
    const plain = await canvas.convertToBlob({ type });
    const text = JSON.stringify({ ...this.params, modelVersion: this.modelVersion });
    return new Blob([withText(new Uint8Array(await plain.arrayBuffer()), 'diffcr', text)], { type });
  }
}
