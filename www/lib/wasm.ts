/** What the wasm modules export, and how the worker gets hold of one: glue and binary are fetched by address, never bundled. */

import { DiffCRError } from './errors.ts';
import type { Precision } from './kernels.ts';
import type {
  Backend,
  DeviceProfile,
  ManifestSummary,
  ModelInfo,
  RoutingRecord,
  RunRequest,
  RunSettings,
  FileEntry,
  RunWarning,
  StepReport,
  TextEncoderMode,
} from './contract.ts';
import type { PowerPreference, EditRequest, RunFlops } from './protocol.ts';

export interface WasmPicture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

export interface WasmRun {
  readonly total: number;
  readonly settings: RunSettings;
  readonly flops: RunFlops;
  readonly warnings: readonly RunWarning[];
  step(): Promise<StepReport | undefined>;
  preview(): Promise<WasmPicture>;
  finish(): Promise<{
    readonly image: WasmPicture;
    readonly latents: { readonly shape: readonly number[]; readonly data: Float32Array };
    readonly routing?: RoutingRecord;
  }>;
  free(): void;
}

export interface WasmModel {
  info(): ModelInfo;
  /**
   * Takes up to about `budget` milliseconds to find the fastest kernels for this model on this device: a line about each. What `known`,
   * {@link timings} of an earlier session, has of them is not timed again.
   */
  tune(budget: number, precision: Precision, known?: string): Promise<readonly string[]>;
  /** What {@link tune} knows of this model's kernels, as JSON. */
  timings(): string;
  /** Token ids of the prompts of a run that only a text encoder which is not loaded can read. */
  unknownPrompts(request: RunRequest): readonly Uint32Array[];
  textStream(prompts: readonly Uint32Array[]): WasmTextStream;
  /** States as f16 bits. */
  rememberPrompt(ids: Uint32Array, states: Uint16Array): void;
  /** What a run needs of the autoencoder that is not loaded, where it edits an image or not. */
  encoderLoader(edits: boolean): WasmEncoderLoader | undefined;
  /** Has it here until {@link dropEncoder}; consumes the loader. */
  takeEncoder(loader: WasmEncoderLoader): void;
  dropEncoder(): void;
  /** Changes with the text encoder's files. */
  readonly textEncoderVersion: string | undefined;
  /** With an `edit`, redraws that image. */
  generate(request: RunRequest, edit?: EditRequest): Promise<WasmRun>;
  free(): void;
}

/** A text encoder on its way past some prompts, a layer at a time. */
export interface WasmTextStream {
  /** In the order in which they serve. */
  files(): readonly FileEntry[];
  /** `hashed`: the file's hash was compared with the manifest's. */
  addFile(path: string, bytes: Uint8Array, hashed: boolean): Promise<void>;
  /** Consumes it. */
  finish(): Promise<readonly KnownPrompt[]>;
  free(): void;
}

/** What a text encoder made of a prompt. */
export interface KnownPrompt {
  readonly ids: Uint32Array;
  /** f16 bits of `[S, E]`. */
  readonly states: Uint16Array;
}

/** What takes the half of an autoencoder in that reads pictures. */
export type WasmEncoderLoader = Pick<WasmLoader, 'files' | 'addFile' | 'free'>;

export interface WasmLoader {
  /** Those that it waits for. */
  files(): readonly FileEntry[];
  /** `hashed`: the file's hash was compared with the manifest's. */
  addFile(path: string, bytes: Uint8Array, hashed: boolean): void;
  finish(): WasmModel;
  free(): void;
}

export interface WasmEngine {
  readonly backend: Backend;
  /** Of the package. */
  readonly version: string;
  /** What its device can do. */
  profile(): DeviceProfile;
  manifest(json: string): ManifestSummary;
  loader(json: string, textEncoder?: TextEncoderMode): WasmLoader;
  free(): void;
}

/** Instantiates the module of a backend and acquires its device. */
export type OpenEngine = (backend: Backend, powerPreference?: PowerPreference) => Promise<WasmEngine>;

interface Glue {
  readonly default: (options: { module_or_path: Response }) => Promise<unknown>;
  readonly Engine: { create(device?: GPUDevice, powerPreference?: PowerPreference): Promise<WasmEngine> };
}

interface Addresses {
  readonly glue: URL;
  readonly wasm: URL;
}

/** Beside this module. Each address is spelled out, so that every bundler sees an asset in it. */
function besides(): Record<Backend, Addresses> {
  return {
    webgpu: {
      glue: new URL('./diffcr_webgpu.js', import.meta.url),
      wasm: new URL('./diffcr_webgpu_bg.wasm', import.meta.url),
    },
    cpu: {
      glue: new URL('./diffcr_cpu.js', import.meta.url),
      wasm: new URL('./diffcr_cpu_bg.wasm', import.meta.url),
    },
  };
}

/** In a folder of the caller's. */
function inside(folder: string, backend: Backend): Addresses {
  return { glue: new URL(`diffcr_${backend}.js`, folder), wasm: new URL(`diffcr_${backend}_bg.wasm`, folder) };
}

/** What Turbopack makes of an asset's address counts from the origin, and the address of its worker, a Blob's, is no base for that. */
export function absolute({ href }: { readonly href: string }): URL {
  return new URL(href, href.startsWith('/') ? globalThis.location?.origin : undefined);
}

/** `folder`: absolute address of the folder with the four files, ending in `/`; absent: beside the worker. */
export function engineOpener(folder: string | undefined, fetchFile: (url: URL) => Promise<Response> = (url) => fetch(url)): OpenEngine {
  return async (backend, powerPreference) => {
    const { glue, wasm } = folder === undefined ? besides()[backend] : inside(folder, backend);
    const [glueUrl, wasmUrl] = [absolute(glue), absolute(wasm)];
    const [module, response] = await Promise.all([importGlue(glueUrl), fetchWasm(wasmUrl, fetchFile)]);
    await module.default({ module_or_path: response });
    return await module.Engine.create(undefined, powerPreference);
  };
}

async function importGlue(url: URL): Promise<Glue> {
  try {
    return (await import(/* @vite-ignore */ /* webpackIgnore: true */ /* turbopackIgnore: true */ url.href)) as Glue;
  } catch (cause) {
    throw new DiffCRError('NETWORK', `the wasm module's script could not be loaded from ${url.href}`, { url: url.href }, cause);
  }
}

async function fetchWasm(url: URL, fetchFile: (url: URL) => Promise<Response>): Promise<Response> {
  const failed = (reason: string, cause?: unknown): DiffCRError =>
    new DiffCRError('NETWORK', `the wasm module could not be loaded from ${url.href}: ${reason}`, { url: url.href }, cause);
  const response = await fetchFile(url).catch((cause: unknown) => {
    throw failed('no answer', cause);
  });
  if (!response.ok) throw failed(`status ${response.status}`);
  if (response.headers.get('content-type')?.startsWith('text/html')) throw failed('an HTML page came back');
  return response;
}
