/** `diffcr-web`: text to image in the browser. Safe to import anywhere: nothing of the browser is touched before a call. */

export { loadModel, type LoadOptions } from './client.ts';
export { DiffCRError, type Code, type Details } from './errors.ts';
export { forgetKernels, type Precision } from './kernels.ts';
export { models, type KeptModel } from './models.ts';
export type { Output, RunParams } from './output.ts';
export type { Picture } from './picture.ts';
export type { GenerateOptions, InpaintOptions, Pipeline, RunEvent } from './pipeline.ts';
export type { Phase, Progress } from './progress.ts';
export { CODES, RANGES, SOLVERS } from './contract.ts';
export type {
  AdapterKind,
  BetaSchedule,
  FeedForward,
  Part,
  Parts,
  Prediction,
  SchedulerConfig,
  ScoreScale,
  TextEncoderConfig,
  TinyVaeConfig,
  TokenizerConfig,
  TransformerConfig,
  VaeConfig,
} from './contract.ts';
export type {
  Backend,
  Compression,
  DeviceChoice,
  DeviceLimits,
  DeviceProfile,
  FileEntry,
  InpaintSettings,
  ManifestSummary,
  MaskAware,
  MaskAwareOptions,
  ModelInfo,
  OptionRange,
  Preset as RoutingPreset,
  RoutedStep,
  Routing as RoutingInfo,
  RoutingRecord,
  RunRequest,
  RunSettings,
  SolverKind,
  Step,
  Tensor,
  Timings,
} from './protocol.ts';
export { checkSupport, type Needs, type Support, type SupportOptions } from './support.ts';
export type { Fetch } from './weights/fetch.ts';
