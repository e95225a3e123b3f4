/** `diffcr-web`: text to image in the browser. Safe to import anywhere: nothing of the browser is touched before a call. */

export { loadModel, type LoadOptions } from './client.ts';
export type { FetchSettings } from './load_options.ts';
export { download } from './download.ts';
export { DiffCRError, type Code, type Details, type DetailsOf } from './errors.ts';
export { forgetKernels, type Precision } from './kernels.ts';
export { models, type KeptModel } from './models.ts';
export type { Busy } from './options.ts';
export { forgetPrompts } from './prompts.ts';
export type { Output, RunParams } from './output.ts';
export { readParams, type PictureParams } from './params.ts';
export { readImage, type Picture } from './picture.ts';
export type { BatchOptions, EditOptions, GenerateOptions, InpaintOptions, Pipeline, RunEvent } from './pipeline.ts';
export type { Phase, Progress } from './progress.ts';
export { CODES, RANGES, SOLVERS } from './contract.ts';
export type {
  AdapterKind,
  BetaSchedule,
  FeedForward,
  KvCompression,
  Part,
  Parts,
  Prediction,
  SchedulerConfig,
  ScoreScale,
  TextEncoderConfig,
  TimestepSpacing,
  TinyVaeConfig,
  TokenizerConfig,
  TransformerConfig,
  VaeConfig,
} from './contract.ts';
export type {
  Backend,
  Budget,
  Compression,
  Defaults,
  DeviceChoice,
  PowerPreference,
  DeviceLimits,
  DeviceProfile,
  FileEntry,
  InpaintSettings,
  ManifestSummary,
  MaskAware,
  MaskAwareOptions,
  MaskFrom,
  ModelInfo,
  OptionRange,
  Preset as RoutingPreset,
  RoutedStep,
  Routing as RoutingInfo,
  RoutingRecord,
  RunFlops,
  RunPhase,
  RunRequest,
  RunSettings,
  RunWarning,
  SolverKind as Solver,
  SolverKind,
  Step,
  Tensor,
  TextEncoderMode,
  Timings,
  WarningCode,
} from './protocol.ts';
export { checkSupport, type Needs, type Support, type SupportOptions } from './support.ts';
export type { BundleAddresses } from './bundle.ts';
export type { DirectoryHandle, ModelSource } from './source.ts';
export type { ScriptAddress } from './spawn.ts';
export type { Fetch } from './weights/fetch.ts';
export type { CacheLike } from './weights/store.ts';
