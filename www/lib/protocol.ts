/** The messages between the page and its worker. Types only: both ends are compiled against this file. */

import type { WireError } from './errors.ts';
import type { Tuning } from './kernels.ts';

export type Backend = 'webgpu' | 'cpu';

/** @default 'auto': WebGPU; the CPU where there is none, and for small models where WebGPU computes on the CPU itself. */
export type DeviceChoice = 'auto' | Backend;

/** A file of a bundle, as its manifest lists it. */
export interface FileEntry {
  readonly path: string;
  readonly bytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly part: string;
}

export interface ManifestSummary {
  readonly name: string;
  /** Changes with the content. */
  readonly version: string;
  readonly totalBytes: number;
  readonly files: readonly FileEntry[];
}

export interface ModelInfo {
  readonly name: string;
  readonly version: string;
  /** Size of a picture when none is asked for. */
  readonly width: number;
  readonly height: number;
  /** Pixels per latent cell, along one axis. */
  readonly pixelScale: number;
  readonly latentChannels: number;
  readonly defaultSolver: string;
  readonly layers: number;
  readonly tokens: number;
  /** What its kernels were timed at on this device, and the choice: a line for each kind of matrix. Small models have nothing to choose. */
  readonly kernels?: readonly string[];
  /** Where its layers route their tokens. */
  readonly routing?: RoutingInfo;
}

/** How a model routes. */
export interface RoutingInfo {
  /** Parts that the timesteps are divided into, each with its own ratios. */
  readonly regions: number;
  /** For `compression`. */
  readonly presets: readonly RoutingPreset[];
  /** The preset that `'learned'` stands for. */
  readonly default: string;
}

export interface RoutingPreset {
  readonly name: string;
  /** Share of the tokens that each layer runs, `[region][layer]`; region 0 is the least noisy. */
  readonly keep: readonly (readonly number[])[];
  /** Share of the steps, the first ones, that run every token. */
  readonly denseSteps: number;
}

/** A tensor of 32-bit floats, row-major. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** What a run is asked for; whatever is left out takes the model's default. */
export interface RunRequest {
  readonly prompt?: string;
  readonly negativePrompt?: string;
  readonly seed?: number;
  readonly steps?: number;
  readonly guidance?: number;
  readonly width?: number;
  readonly height?: number;
  readonly solver?: string;
  /**
   * How many tokens the layers of a routed model skip: `'learned'`, `'off'`, a preset of the model, or a share from 0 to 0.9.
   * @default 'learned'
   */
  readonly compression?: string | number;
  /** Initial noise `[1, C, h, w]`. */
  readonly latents?: Tensor;
  /** Text states `[1, S, E]` in place of the prompt. */
  readonly promptEmbeds?: Tensor;
  /** The same in place of the negative prompt. */
  readonly negativePromptEmbeds?: Tensor;
  /** Hands out which tokens every layer kept. @default false */
  readonly returnRouting?: boolean;
}

/** Which tokens the layers of a run kept. */
export interface RoutingRecord {
  /** Rows and columns of tokens; token `i` is at row `i / columns`. */
  readonly grid: readonly [number, number];
  readonly steps: readonly RoutedStep[];
}

export interface RoutedStep {
  readonly timestep: number;
  /** For each layer its kept tokens, ascending; null where it has no router. Empty for a step on an inpainted part alone. */
  readonly layers: readonly (readonly number[] | null)[];
}

/** Bytes as a canvas has them: RGBA, rows from the top. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

/** How an image is inpainted. */
export interface InpaintSettings {
  /** Share of the steps that are run: 1 redraws from noise alone, 0 changes nothing. @default 1 */
  readonly strength?: number;
  /**
   * Computes what the hole needs and not the whole image, where nothing is lost by it; `ring` is the tokens around the hole that
   * run at every step, `refresh` every how many steps all do. @default true
   */
  readonly maskAware?: boolean | { readonly ring?: number; readonly refresh?: number; readonly minSteps?: number; readonly maxActive?: number };
  /** Draws the mask's surroundings alone, at the model's size: details for small holes, and images of any size. @default false */
  readonly cropToMask?: boolean;
  /** Pixels outside the mask over which the drawing fades into the image. @default 0 */
  readonly feather?: number;
}

/** An image to change: of the run, `latents` is then the noise, `width` and `height` the size that it is worked on at. */
export interface EditRequest extends InpaintSettings {
  /** RGBA, or values `[1, 3, H, W]` in [-1, 1]. */
  readonly image: Pixels | Tensor;
  /** What to redraw: what is light and opaque, or values `[1, 1, H, W]` of at least one half. */
  readonly mask: Pixels | Tensor;
}

/** What a run does, defaults filled in. */
export interface RunSettings {
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
  readonly solver: string;
  readonly compression: string | number;
  readonly width: number;
  readonly height: number;
}

/** Milliseconds, measured in the worker. */
export interface Timings {
  /** Checking the request, encoding the prompt. */
  readonly encodeMs: number;
  /** Each denoising step. */
  readonly stepMs: readonly number[];
  /** Decoding and reading back. */
  readonly decodeMs: number;
  /** All of it, previews included. */
  readonly totalMs: number;
}

export type ToWorker =
  | { readonly id: number; readonly type: 'adapter' }
  | { readonly id: number; readonly type: 'open'; readonly device: DeviceChoice; readonly wasmUrl?: string }
  | { readonly id: number; readonly type: 'manifest'; readonly json: string }
  | { readonly id: number; readonly type: 'file'; readonly path: string; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly id: number; readonly type: 'finish'; readonly tuning: Tuning }
  | { readonly id: number; readonly type: 'generate'; readonly request: RunRequest; readonly edit?: EditRequest; readonly previewEvery: number; readonly returnLatents: boolean }
  | { readonly id: number; readonly type: 'abort' };

/** One answer to one request, matched by `id`. */
export type Reply =
  /** `software`: the name of an adapter that computes on the CPU. */
  | { readonly type: 'adapter'; readonly software?: string }
  | { readonly type: 'opened'; readonly backend: Backend; readonly note?: string }
  | { readonly type: 'manifest'; readonly summary: ManifestSummary }
  | { readonly type: 'added' }
  | { readonly type: 'ready'; readonly info: ModelInfo }
  | {
      readonly type: 'done';
      readonly pixels: Uint8ClampedArray<ArrayBuffer>;
      /** Of the picture: an inpainted one may be worked on at another size. */
      readonly width: number;
      readonly height: number;
      readonly settings: RunSettings;
      readonly timings: Timings;
      readonly latents?: Tensor;
      readonly routing?: RoutingRecord;
    };

export type ReplyOf<T extends Reply['type']> = Extract<Reply, { type: T }>;

/** One denoising step of a run. */
export interface Step {
  /** From 1 to `total`. */
  readonly step: number;
  readonly total: number;
  /** Of the noise schedule, 999 to 0. */
  readonly timestep: number;
  readonly elapsedMs: number;
  readonly etaMs: number;
  /** The current estimate of the picture, where `previewEvery` asked for one. Yours to `close()`. */
  readonly preview?: ImageBitmap;
}

export type FromWorker =
  | { readonly id: number; readonly type: 'reply'; readonly reply: Reply }
  | { readonly id: number; readonly type: 'step'; readonly step: Step }
  | { readonly id: number; readonly type: 'failed'; readonly error: WireError; readonly dead: boolean }
  /** Not an answer: something failed outside any request, and the module is gone. */
  | { readonly type: 'crashed'; readonly error: WireError };
