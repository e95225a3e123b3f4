/**
 * What Rust and TypeScript say to each other. Written from the Rust types by `make contract`; a test of the crate fails where it is not
 * current.
 */

/** Every code a `DiffCRError` can carry. */
export const CODES = [
  /** The browser has no WebGPU, or none for this page. */
  'WEBGPU_UNAVAILABLE',
  /** WebGPU is there but gives no adapter or device. */
  'NO_ADAPTER',
  /** The worker could not be started: `url`, `remedy`. */
  'WORKER',
  /** The adapter's limit is below what the run needs: `limit`, `needed`, `available`. */
  'LIMIT_TOO_SMALL',
  /** The run needs more memory than there is: `needed`, `available`, and of a picture `width`, `height`. The pipeline goes on. */
  'OUT_OF_MEMORY',
  /** The device was lost while working; the next call loads the model again. */
  'DEVICE_LOST',
  /** A file is missing, truncated or altered: `file`. */
  'INTEGRITY',
  /** Nothing, or a status that is none, came back: `url`, `status`. */
  'NETWORK',
  /** The browser keeps no more; the model is loaded all the same (a warning). */
  'QUOTA',
  /** The network is gone and a file was not kept. */
  'OFFLINE_MISS',
  /** `diffcr.json` is not what the schema asks for. */
  'MANIFEST_INVALID',
  /** The bundle was written for another version of the format: `found`, `supported`. */
  'MANIFEST_VERSION',
  /** A tensor or a setting does not make a model: `name`. */
  'MODEL_INVALID',
  /** A run's latents or pixels are no numbers any more: `what`, `step`, `total`. */
  'NOT_FINITE',
  /** Another run is under way, and `busy: 'reject'` asked not to wait; or a later one took its place. */
  'BUSY',
  /** The pipeline was disposed of, or has ended. */
  'DISPOSED',
  /** An option is not what it may be: `field`. */
  'INVALID_INPUT',
  /** A fault of ours. */
  'INTERNAL',
] as const;

export type Code = (typeof CODES)[number];

/**
 * The backends a caller can ask for.
 */
export type Backend = "cpu" | "webgpu";

/**
 * Whether an adapter computes on a GPU.
 */
export type AdapterKind = "gpu" | "software" | "unknown";

/**
 * Those of WebGPU's limits that decide what runs; bytes, unless it says otherwise.
 */
export type DeviceLimits = {
  readonly maxBufferSize: number;
  readonly maxStorageBufferBindingSize: number;
  /** A count. */
  readonly maxStorageBuffersPerShaderStage: number;
  readonly maxComputeWorkgroupStorageSize: number;
  /** A count. */
  readonly maxComputeInvocationsPerWorkgroup: number;
};

/**
 * The features and limits of a device.
 */
export type DeviceProfile = {
  readonly backend: Backend;
  /** What the adapter calls itself; empty where it does not tell. */
  readonly adapter: string;
  readonly kind: AdapterKind;
  /** Whether shaders have f16 (`shader-f16`). */
  readonly shaderF16: boolean;
  /** Whether shaders have operations of subgroups (`subgroups`). */
  readonly subgroups: boolean;
  /** Whether the device times its own work (`timestamp-query`). */
  readonly timestampQuery: boolean;
  /** Whether WGSL has products of four 8-bit integers to a word (`packed_4x8_integer_dot_product`). */
  readonly packedDot: boolean;
  /** None on the CPU. */
  readonly limits?: DeviceLimits;
};

export type Part = "transformer" | "textEncoder" | "tokenizer" | "vae" | "vaeTiny" | "prompts";

export type FileEntry = {
  /** Relative to the manifest, with `/`. */
  readonly path: string;
  readonly bytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly part: Part;
};

/**
 * What becomes of a model's text encoder.
 */
export type TextEncoderMode = "auto" | "resident" | "streamed";

/**
 * What a manifest lists.
 */
export type ManifestSummary = {
  readonly name: string;
  /** Changes with the content. */
  readonly version: string;
  /** Of all files. */
  readonly totalBytes: number;
  readonly files: readonly FileEntry[];
};

/**
 * PixArt transformer (alpha and Sigma).
 */
export type TransformerConfig = {
  readonly layers: number;
  readonly heads: number;
  readonly headDim: number;
  readonly inChannels: number;
  /** Twice `in_channels` where the model also predicts a variance, which the engine drops. */
  readonly outChannels: number;
  readonly patchSize: number;
  /** Width of the text encoder's states. */
  readonly captionChannels: number;
  /** Latent side the model was trained for: the base of the position table. */
  readonly sampleSize: number;
  readonly interpolationScale: number;
  /** Alpha at 1024: resolution and aspect ratio are embedded beside the timestep. */
  readonly sizeConditions: boolean;
  /** Queries and keys of self-attention pass a LayerNorm over all heads. */
  readonly qkNorm?: boolean;
  /** Layers whose self-attention reads a key and a value for a square of tokens (Sigma's KV compression). */
  readonly kvCompression?: KvCompression;
};

/**
 * The MLP of a T5 layer.
 */
export type FeedForward = "gated-gelu" | "relu";

/**
 * T5 encoder.
 */
export type TextEncoderConfig = {
  readonly vocabSize: number;
  readonly dModel: number;
  readonly dKv: number;
  readonly heads: number;
  readonly dFf: number;
  readonly layers: number;
  readonly relativeBuckets: number;
  readonly relativeMaxDistance: number;
  readonly layerNormEps: number;
  readonly feedForward: FeedForward;
};

/**
 * Where the token ids come from.
 */
export type TokenizerConfig = {
  /** Path of `tokenizer.json` in the bundle. */
  readonly file: string;
  /** Longest prompt in tokens, `</s>` included. */
  readonly maxLength: number;
  readonly padId: number;
  readonly eosId: number;
};

/**
 * `AutoencoderKL`.
 */
export type VaeConfig = {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly latentChannels: number;
  /** Channels of each level, from the image inwards; every level but the last halves the size. */
  readonly blockOutChannels: readonly number[];
  /** Resnets of an encoder level; a decoder level has one more. */
  readonly layersPerBlock: number;
  readonly normGroups: number;
  /** One attention head over all channels in the middle block. */
  readonly midAttention: boolean;
  readonly quantConv: boolean;
  readonly postQuantConv: boolean;
  /** Model latents = encoder mean * scaling factor. */
  readonly scalingFactor: number;
  /** The bundle carries the encoder (inpainting needs it). */
  readonly encoder: boolean;
};

/**
 * `AutoencoderTiny` (TAESD and its relatives), whose levels may differ in width, and which may begin with a pixel-unshuffle.
 */
export type TinyVaeConfig = {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly latentChannels: number;
  readonly encoderBlockChannels: readonly number[];
  readonly decoderBlockChannels: readonly number[];
  readonly encoderBlocks: readonly number[];
  readonly decoderBlocks: readonly number[];
  readonly upsamplingFactor: number;
  /** Side of the squares of pixels that the first convolution reads as channels, and the last one writes; 1 in TAESD. */
  readonly patchSize?: number;
  /** The decoder's input is `tanh(x / m) * m` with this m. */
  readonly latentMagnitude: number;
  readonly scalingFactor: number;
  readonly encoder: boolean;
};

/**
 * What the network's output means.
 */
export type Prediction = "epsilon" | "sample" | "v_prediction";

export type BetaSchedule = "linear" | "scaled_linear";

/**
 * How timesteps are chosen, in diffusers' words.
 */
export type TimestepSpacing = "linspace" | "leading" | "trailing";

/**
 * Which layers compress their keys and values, and how far.
 */
export type KvCompression = {
  /** Tokens along a square that becomes one key and one value. */
  readonly scale: number;
  /** The layers, ascending. */
  readonly layers: readonly number[];
};

/**
 * The solvers, by the names users type.
 */
export type SolverKind = "dpm++" | "dpm++1" | "ddim" | "euler" | "euler_a" | "unipc" | "sa" | "lcm" | "dmd";

/**
 * The noise schedule the model was trained with, and the solver its publisher chose.
 */
export type SchedulerConfig = {
  readonly trainTimesteps: number;
  readonly betaStart: number;
  readonly betaEnd: number;
  readonly betaSchedule: BetaSchedule;
  readonly prediction: Prediction;
  readonly solver: SolverKind;
  /** How timesteps are chosen; as each solver's own scheduler does where absent. */
  readonly timestepSpacing?: TimestepSpacing;
  /** Added to `leading` timesteps. */
  readonly stepsOffset?: number;
  /** The betas are rescaled so that the last timestep has no signal (Lin et al., <https://arxiv.org/abs/2305.08891>). */
  readonly zeroTerminalSnr?: boolean;
};

/**
 * The configurations of the parts; an absent one is not in the bundle. A model without `vae` and `vaeTiny` draws pixels.
 */
export type Parts = {
  readonly transformer: TransformerConfig;
  readonly textEncoder?: TextEncoderConfig;
  readonly tokenizer?: TokenizerConfig;
  readonly vae?: VaeConfig;
  readonly vaeTiny?: TinyVaeConfig;
  readonly scheduler: SchedulerConfig;
};

/**
 * What the router's score multiplies.
 */
export type ScoreScale = "mlp";

export type Preset = {
  readonly name: string;
  /** `[regions][layers]`. */
  readonly keep: readonly (readonly number[])[];
  /** Share of the steps, from the last one backwards, that run every token. */
  readonly denseSteps: number;
};

/**
 * Token routing: which layers keep how many tokens, by region of the timesteps.
 */
export type Routing = {
  /** The keep ratios a layer can run at, descending. */
  readonly bins: readonly number[];
  readonly regions: number;
  readonly scoreScale: ScoreScale;
  readonly scoreGain: number;
  readonly presets: readonly Preset[];
  /** Name of the preset that `learned` means. */
  readonly default: string;
};

/**
 * How much of the computation a caller wants saved.
 */
export type Compression = string | number;

/**
 * What a run has where nothing is asked for; its seed is one of chance.
 */
export type Defaults = {
  readonly negativePrompt: string;
  readonly steps: number;
  readonly guidance: number;
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
  readonly solver: SolverKind;
  readonly compression: Compression;
};

/**
 * Bytes that a model and a run of it take.
 */
export type Budget = {
  /** Of the module's own memory, at the most. */
  readonly peakHeapBytes: number;
  /** Of buffers on the GPU, at the most; 0 on the CPU. */
  readonly peakGpuBytes: number;
  /** The largest buffer that a shader is given whole; 0 on the CPU. */
  readonly maxBindingBytes: number;
};

/**
 * A loaded model.
 */
export type ModelInfo = {
  readonly name: string;
  readonly version: string;
  /** Size of a picture when none is asked for, in pixels. */
  readonly width: number;
  readonly height: number;
  /** Sides of a picture are multiples of so many pixels. */
  readonly sideMultiple: number;
  /** Pixels per latent cell, along one axis. */
  readonly pixelScale: number;
  readonly latentChannels: number;
  readonly defaultSolver: SolverKind;
  /** What a run has where nothing is asked for. */
  readonly defaults: Defaults;
  /** The solver of [`Defaults`], and its steps and guidance. */
  readonly defaultSteps: number;
  readonly defaultGuidance: number;
  /** What the usual picture, guided and of the model's own size, takes of memory. */
  readonly needs: Budget;
  readonly layers: number;
  /** Of a picture of the model's own size. */
  readonly tokens: number;
  readonly parts: Parts;
  /** The words that it knows, where each is a token of its own vocabulary; absent for a model that reads any text. */
  readonly vocabulary?: readonly string[];
  /** Where its layers route their tokens. */
  readonly routing?: Routing;
};

/**
 * A tensor in host memory, row-major.
 */
export type Tensor = {
  readonly shape: readonly number[];
  readonly data: Float32Array;
};

/**
 * Options of `generate`, as they come from JavaScript or from the command line.
 */
export type RunRequest = {
  /** What to draw. @default '' */
  readonly prompt?: string;
  /** What to steer away from. @default '' */
  readonly negativePrompt?: string;
  /** Of the noise. @default 0 */
  readonly seed?: number;
  /** Denoising steps. @default 20; 4 with the LCM solver, 1 with DMD */
  readonly steps?: number;
  /** Weight of the prompt against the negative prompt; off at 1 and below. @default 4.5; 1 with LCM and DMD */
  readonly guidance?: number;
  /** Pixels. @default the model's own size */
  readonly width?: number;
  /** Pixels. @default the model's own size */
  readonly height?: number;
  /** @default the one that the model's publisher chose */
  readonly solver?: SolverKind;
  /** How many tokens the layers of a routed model skip: `'learned'`, `'off'`, a preset of the model, or a share from 0 to 0.9. @default 'learned' */
  readonly compression?: Compression;
  /** Unit noise to start from, `[1, C, h, w]`, instead of the seed's. */
  readonly latents?: Tensor;
  /** Text states `[1, S, E]` instead of a prompt. */
  readonly promptEmbeds?: Tensor;
  /** The same instead of the negative prompt. */
  readonly negativePromptEmbeds?: Tensor;
  /** Which of `promptEmbeds` are tokens, `[1, S]`: ones, then zeros for padding. @default all */
  readonly promptAttentionMask?: Tensor;
  /** The same of `negativePromptEmbeds`. */
  readonly negativePromptAttentionMask?: Tensor;
  /** Whether the run keeps a record of the tokens its layers kept. @default false */
  readonly returnRouting?: boolean;
};

/**
 * How a run follows its hole.
 */
export type MaskAwareOptions = {
  /** Tokens around the hole, in every direction, that run at every step. */
  readonly ring?: number;
  /** Every how many steps all tokens run. 0: never, and the others are not attended to. */
  readonly refresh?: number;
  /** Runs of fewer steps are full: from one step to the next too much changes. */
  readonly minSteps?: number;
  /** Runs with more than this share of the tokens active, in percent, are full: there is little to gain. */
  readonly maxActive?: number;
};

/**
 * Whether the cost follows the hole: yes, no, or how.
 */
export type MaskAware = boolean | MaskAwareOptions;

/**
 * What of a mask's picture says what is redrawn.
 */
export type MaskFrom = "lightness" | "alpha";

/**
 * How an image is inpainted.
 */
export type InpaintSettings = {
  /** Share of the steps that are run: 1 redraws from noise alone, 0 changes nothing. @default 1 */
  readonly strength?: number;
  /** Computes what the hole needs and not the whole image, where nothing is lost by it. @default true */
  readonly maskAware?: MaskAware;
  /** Draws the mask's surroundings alone, at the model's size: details for small holes, and images of any size. @default false */
  readonly cropToMask?: boolean;
  /** Pixels outside the mask over which the drawing fades into the image. @default 0 */
  readonly feather?: number;
  /** What of the mask says what is redrawn: `lightness`, of a picture in black and white, or `alpha`, its transparent part. @default 'lightness' */
  readonly maskFrom?: MaskFrom;
};

/**
 * Checked settings of a run.
 */
export type RunSettings = {
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
  readonly solver: SolverKind;
  readonly compression: Compression;
  /** Pixels. */
  readonly height: number;
  readonly width: number;
};

/**
 * Why something was left out.
 */
export type WarningCode = "PROMPT_TRUNCATED";

/**
 * A part of a request that was left out.
 */
export type RunWarning = {
  readonly code: WarningCode;
  /** The option that it is about. */
  readonly field: string;
  readonly message: string;
  /** How much was left out, in tokens. */
  readonly lost: number;
  /** How much the model takes, in tokens. */
  readonly limit: number;
};

/**
 * What a step did.
 */
export type StepReport = {
  /** Steps done, from 1. */
  readonly step: number;
  readonly total: number;
  /** The timestep the network was told. */
  readonly timestep: number;
  /** Share of the tokens that each layer ran; none of a dense model. */
  readonly keep?: readonly number[];
};

/**
 * One denoising step of it.
 */
export type RoutedStep = {
  readonly timestep: number;
  /** For each layer the kept tokens, ascending; null where the layer has no router and runs them all. Empty for a step that ran the part of the image alone that is inpainted. */
  readonly layers: readonly (readonly number[] | null)[];
};

/**
 * The kept tokens of an image's run.
 */
export type RoutingRecord = {
  /** Rows and columns of tokens; token `i` is at row `i / columns`. */
  readonly grid: readonly [number, number];
  readonly steps: readonly RoutedStep[];
};

/**
 * A number that a caller may choose.
 */
export type OptionRange = {
  /** As JavaScript calls it. */
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** What a control moves it by. */
  readonly step: number;
  /** Only whole numbers will do. */
  readonly integer: boolean;
  readonly default: number;
};

/** Side of a picture in pixels, at most. */
export const MAX_SIDE = 4096;

/** What the numbers among the options may be. */
export const RANGES = {
  steps: {"name":"steps","min":1.0,"max":1000.0,"step":1.0,"integer":true,"default":20.0},
  guidance: {"name":"guidance","min":0.0,"max":100.0,"step":0.1,"integer":false,"default":4.5},
  strength: {"name":"strength","min":0.0,"max":1.0,"step":0.01,"integer":false,"default":1.0},
  feather: {"name":"feather","min":0.0,"max":4096.0,"step":1.0,"integer":false,"default":0.0},
  compression: {"name":"compression","min":0.0,"max":0.9,"step":0.05,"integer":false,"default":0.0},
} as const satisfies Record<string, OptionRange>;

/** Options of a run. */
export const REQUEST_KEYS = ['prompt', 'negativePrompt', 'seed', 'steps', 'guidance', 'width', 'height', 'solver', 'compression', 'latents', 'promptEmbeds', 'negativePromptEmbeds', 'promptAttentionMask', 'negativePromptAttentionMask', 'returnRouting'] as const satisfies readonly (keyof RunRequest)[];

/** Options of an inpainting, beside those of its run. */
export const INPAINT_KEYS = ['strength', 'maskAware', 'cropToMask', 'feather', 'maskFrom'] as const satisfies readonly (keyof InpaintSettings)[];

export const SOLVERS = ["dpm++", "dpm++1", "unipc", "sa", "ddim", "euler", "euler_a", "lcm", "dmd"] as const satisfies readonly SolverKind[];
