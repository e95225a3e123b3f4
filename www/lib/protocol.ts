/** The messages between the page and its worker. Types only: both ends are compiled against this file, and against what Rust says in `contract.ts`. */

import type {
  Backend,
  DeviceProfile,
  FileEntry,
  InpaintSettings,
  ManifestSummary,
  ModelInfo as EngineModelInfo,
  RoutingRecord,
  RunRequest,
  RunSettings,
  RunWarning,
  Tensor,
  TextEncoderMode,
} from './contract.ts';
import type { WireError } from './errors.ts';
import type { Tuning } from './kernels.ts';

export type * from './contract.ts';

/** Which of several GPUs WebGPU asks for: the fast one, or the one that spares the battery. */
export type PowerPreference = 'high-performance' | 'low-power';

/** @default 'auto': WebGPU; the CPU where there is none, and for small models where WebGPU computes on the CPU itself. */
export type DeviceChoice = 'auto' | Backend;

/** A loaded model on its device. */
export interface ModelInfo extends EngineModelInfo {
  /** What its kernels were timed at on this device, and the choice: a line for each kind of matrix. Small models have nothing to choose. */
  readonly kernels?: readonly string[];
  /** What the device can do. */
  readonly device: DeviceProfile;
}

/** Bytes as a canvas has them: RGBA, rows from the top. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

/** An image to change: of the run, `latents` is then the noise, `width` and `height` the size that it is worked on at. */
export interface EditRequest extends InpaintSettings {
  /** RGBA, or values `[1, 3, H, W]` in [-1, 1]. */
  readonly image: Pixels | Tensor;
  /** What to redraw: what is light and opaque, or values `[1, 1, H, W]` of at least one half. */
  readonly mask: Pixels | Tensor;
}

/** Operations of the denoising network in a run: one multiply-add is two. Text encoder and autoencoder are not counted. */
export interface RunFlops {
  readonly total: number;
  /** What the same run would take if every layer ran every token. */
  readonly dense: number;
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
  | { readonly id: number; readonly type: 'adapter'; readonly powerPreference?: PowerPreference }
  | {
      readonly id: number;
      readonly type: 'open';
      readonly device: DeviceChoice;
      readonly wasmUrl?: string;
      readonly powerPreference?: PowerPreference;
    }
  | { readonly id: number; readonly type: 'manifest'; readonly json: string; readonly textEncoder: TextEncoderMode }
  /** Of the model that is loaded, or of what `prepare` asked for. `hashed`: its hash was compared with the manifest's. */
  | {
      readonly id: number;
      readonly type: 'file';
      readonly path: string;
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly hashed: boolean;
    }
  | { readonly id: number; readonly type: 'finish'; readonly tuning: Tuning }
  /** Before `generate`: which files that run needs beside the model. */
  | { readonly id: number; readonly type: 'prepare'; readonly request: RunRequest; readonly edits: boolean; readonly remember: boolean }
  | {
      readonly id: number;
      readonly type: 'generate';
      readonly request: RunRequest;
      readonly edit?: EditRequest;
      readonly previewEvery: number;
      readonly returnLatents: boolean;
    }
  | { readonly id: number; readonly type: 'abort' };

/** One answer to one request, matched by `id`. */
export type Reply =
  /** `software`: the name of an adapter that computes on the CPU. */
  | { readonly type: 'adapter'; readonly software?: string }
  | { readonly type: 'opened'; readonly backend: Backend; readonly note?: string }
  /** `files`: those that the model needs before its first run. */
  | { readonly type: 'manifest'; readonly summary: ManifestSummary; readonly files: readonly FileEntry[] }
  /** In the order in which they are to come. */
  | { readonly type: 'prepared'; readonly files: readonly FileEntry[] }
  | { readonly type: 'added' }
  | { readonly type: 'ready'; readonly info: ModelInfo }
  | {
      readonly type: 'done';
      readonly pixels: Uint8ClampedArray<ArrayBuffer>;
      /** Of the picture: an inpainted one may be worked on at another size. */
      readonly width: number;
      readonly height: number;
      readonly settings: RunSettings;
      readonly flops: RunFlops;
      readonly warnings: readonly RunWarning[];
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
  /** Share of the tokens that each layer ran in this step; none of a model without routers. */
  readonly routing?: { readonly keep: readonly number[] };
  /** The current estimate of the picture, where `previewEvery` asked for one. Yours to `close()`. */
  readonly preview?: ImageBitmap;
}

/** What a run is doing: fetching what it needs beside the model, reading the prompts, denoising, making the picture of the latents. */
export type RunPhase = 'load' | 'encode' | 'denoise' | 'decode';

export type FromWorker =
  /** The worker's first word: its script runs. */
  | { readonly type: 'hello' }
  | { readonly id: number; readonly type: 'reply'; readonly reply: Reply }
  | { readonly id: number; readonly type: 'step'; readonly step: Step }
  | { readonly id: number; readonly type: 'phase'; readonly phase: RunPhase }
  | { readonly id: number; readonly type: 'failed'; readonly error: WireError; readonly dead: boolean }
  /** Not an answer: something failed outside any request, and the module is gone. */
  | { readonly type: 'crashed'; readonly error: WireError };
