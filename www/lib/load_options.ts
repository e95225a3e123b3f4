/** The options of `loadModel`, checked and copied before the call returns. */

import { resolveFolder } from './bundle.ts';
import type { DiffCRError } from './errors.ts';
import type { Precision, Tuning } from './kernels.ts';
import { checkFunction, checkSignal, checkWord, invalid, readObject } from './options.ts';
import type { Progress } from './progress.ts';
import type { DeviceChoice, PowerPreference, TextEncoderMode } from './protocol.ts';
import type { ScriptAddress } from './spawn.ts';
import type { Fetch } from './weights/fetch.ts';
import type { CacheLike } from './weights/store.ts';

/** How files are fetched, and where they stay: of `loadModel` and `download` alike. */
export interface FetchSettings {
  /** Files fetched at a time; as many chunks, and one more, are held in memory. @default 4 */
  readonly concurrency?: number;
  /**
   * Keeps verified weights in the browser, so that the next visit fetches nothing and works offline; see {@link models}. A `Cache` of the
   * page's own, or what has its methods, is used in place of the package's. @default 'auto'
   */
  readonly cache?: 'auto' | 'none' | CacheLike;
  /** Hears of what went wrong and is no reason to stop: weights that the browser does not keep (`QUOTA`). */
  readonly onWarning?: (warning: DiffCRError) => void;
  /** Fetches the manifest and the weights. @default the platform's */
  readonly fetch?: Fetch;
  /** What each request carries beside its signal: headers with a token, credentials. */
  readonly init?: RequestInit | ((url: string) => RequestInit);
  /** SHA-256 of `diffcr.json`, in hex or as `sha256-BASE64`: another manifest is `INTEGRITY`. It lists the hashes of all files. */
  readonly integrity?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

export interface LoadOptions extends FetchSettings {
  /**
   * `'auto'` takes WebGPU, and the CPU where there is none, or where WebGPU computes on the CPU itself and the model has at most 64 MiB
   * (`pipeline.note` then says why). @default 'auto'
   */
  readonly device?: DeviceChoice;
  /** Which of several GPUs WebGPU is asked for: `'low-power'` spares a battery. @default 'high-performance' */
  readonly powerPreference?: PowerPreference;
  /**
   * What matrix products may round to where this device is faster then: nothing, f16 factors, or activations of 8 bits as well (for
   * weights in q8 or q4), which changes pictures a little. Small models are exact. @default 'half'
   */
  readonly precision?: Precision;
  /** Milliseconds that timing kernels may take, about. @default a tenth of what loading took, and at most 3000 */
  readonly tuningMs?: number;
  /** Keeps what kernels were timed at for the next load (see `forgetKernels`). @default true */
  readonly rememberKernels?: boolean;
  /**
   * What becomes of the model's text encoder: `'resident'` loads it with the rest, `'streamed'` fetches its files for a prompt that is not
   * known yet and runs them a layer at a time. `'auto'` streams one of more than 256 MiB. @default 'auto'
   */
  readonly textEncoder?: TextEncoderMode;
  /** Keeps what a streamed text encoder made of prompts, so that it is not needed for them again (see `forgetPrompts`). @default true */
  readonly rememberPrompts?: boolean;
  /** Address of `worker.js`; a `TrustedScriptURL` passes unchanged. @default beside this module */
  readonly workerUrl?: ScriptAddress;
  /** Address of the folder with `diffcr_webgpu.js`, `diffcr_webgpu_bg.wasm` and the same two for `cpu`. @default beside the worker */
  readonly wasmUrl?: string | URL;
}

const FETCH_KEYS = ['concurrency', 'cache', 'onWarning', 'fetch', 'init', 'integrity', 'signal', 'onProgress'] as const;
const LOAD_KEYS = [
  'device',
  'powerPreference',
  'precision',
  'tuningMs',
  'rememberKernels',
  'textEncoder',
  'rememberPrompts',
  'workerUrl',
  'wasmUrl',
] as const;
const DEVICES: readonly DeviceChoice[] = ['auto', 'webgpu', 'cpu'];
const POWERS: readonly PowerPreference[] = ['high-performance', 'low-power'];
const TEXT_ENCODERS: readonly TextEncoderMode[] = ['auto', 'resident', 'streamed'];
const PRECISIONS: readonly Precision[] = ['exact', 'half', 'int8'];

/** {@link FetchSettings} with their defaults. */
export interface CheckedFetch {
  readonly concurrency: number;
  readonly cache: 'auto' | 'none' | CacheLike;
  readonly onWarning: FetchSettings['onWarning'];
  readonly fetch: Fetch | undefined;
  readonly init: FetchSettings['init'];
  /** Lower-case hex. */
  readonly integrity: string | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: FetchSettings['onProgress'];
}

/** {@link LoadOptions} with their defaults. */
export interface CheckedLoad extends CheckedFetch {
  readonly device: DeviceChoice;
  readonly powerPreference: PowerPreference;
  readonly tuning: Tuning;
  readonly textEncoder: TextEncoderMode;
  readonly rememberPrompts: boolean;
  readonly workerUrl: ScriptAddress | undefined;
  readonly wasmUrl: string | undefined;
}

export function readFetchSettings(options: unknown, extra: readonly string[] = []): CheckedFetch {
  const given = readObject('options', options, [...FETCH_KEYS, ...extra]) as FetchSettings;
  const { concurrency = 4, cache = 'auto', init, integrity } = given;
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 32) {
    throw invalid('concurrency', `${concurrency} is not a whole number in 1 … 32`);
  }
  if (init !== undefined && typeof init !== 'function' && (typeof init !== 'object' || init === null)) {
    throw invalid('init', 'it is no object and no function');
  }
  return {
    concurrency,
    cache: isCache(cache) ? cache : checkWord('cache', cache, ['auto', 'none'] as const),
    onWarning: checkFunction('onWarning', given.onWarning) as FetchSettings['onWarning'],
    fetch: checkFunction('fetch', given.fetch) as Fetch | undefined,
    init: typeof init === 'object' ? { ...init } : init,
    integrity: integrity === undefined ? undefined : readHash(integrity),
    signal: checkSignal(given.signal),
    onProgress: checkFunction('onProgress', given.onProgress) as FetchSettings['onProgress'],
  };
}

export function readLoadOptions(options: unknown): CheckedLoad {
  const fetching = readFetchSettings(options, LOAD_KEYS);
  const {
    device = 'auto',
    powerPreference = 'high-performance',
    precision = 'half',
    tuningMs: budgetMs,
    rememberKernels: remember = true,
    textEncoder = 'auto',
    rememberPrompts = true,
    workerUrl,
    wasmUrl,
  } = (options ?? {}) as LoadOptions;
  if (budgetMs !== undefined && !(typeof budgetMs === 'number' && budgetMs >= 0)) {
    throw invalid('tuningMs', `${String(budgetMs)} is not a number from 0`);
  }
  if (typeof remember !== 'boolean') throw invalid('rememberKernels', `${String(remember)} is not true or false`);
  if (typeof rememberPrompts !== 'boolean') throw invalid('rememberPrompts', `${String(rememberPrompts)} is not true or false`);
  const tuning = { precision: checkWord('precision', precision, PRECISIONS), remember, ...(budgetMs === undefined ? {} : { budgetMs }) };
  return {
    ...fetching,
    device: checkWord('device', device, DEVICES),
    powerPreference: checkWord('powerPreference', powerPreference, POWERS),
    tuning,
    textEncoder: checkWord('textEncoder', textEncoder, TEXT_ENCODERS),
    rememberPrompts,
    workerUrl,
    wasmUrl: wasmUrl === undefined ? undefined : resolveFolder(wasmUrl, 'wasmUrl'),
  };
}

function isCache(value: unknown): value is CacheLike {
  const cache = value as Partial<CacheLike> | null;
  return typeof value === 'object' && typeof cache?.match === 'function' && typeof cache.put === 'function';
}

/** Lower-case hex of a SHA-256. */
function readHash(integrity: unknown): string {
  const text = String(integrity);
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  const base64 = /^sha256-([A-Za-z0-9+/]{43}=)$/.exec(text)?.[1];
  if (base64 === undefined) throw invalid('integrity', 'it is no SHA-256: 64 hex digits, or sha256- and its base64');
  return Array.from(atob(base64), (byte) => byte.charCodeAt(0).toString(16).padStart(2, '0')).join('');
}
