/** What this browser can do for a model, told before anything large is fetched. */

import { requestAdapter, softwareName, suitsCpu } from './adapter.ts';
import { throwIfAborted } from './abort.ts';
import { budgetOf, usualRequest, type Listed } from './budget.ts';
import { listedFiles } from './bundle.ts';
import type { Budget } from './contract.ts';
import { DiffCRError, type Code } from './errors.ts';
import { guarded } from './guard.ts';
import { readFetchSettings, type CheckedFetch, type FetchSettings } from './load_options.ts';
import { filesOf, readManifest } from './manifest.ts';
import { readObject } from './options.ts';
import type { Backend } from './protocol.ts';
import { openSource, type ModelSource } from './source.ts';
import type { Fetch } from './weights/fetch.ts';

export interface Support {
  /** The model can run here, on one backend or the other. */
  readonly ok: boolean;
  /** What `device: 'auto'` will take; on a fallback adapter that depends on the model's size, and without its address it is WebGPU. */
  readonly backend?: Backend;
  /** Why there is no WebGPU. */
  readonly code?: Code;
  readonly webgpu: boolean;
  readonly shaderF16: boolean;
  /** The adapter computes on the CPU: small models are drawn faster by the CPU build, which `'auto'` then takes. */
  readonly isFallbackAdapter: boolean;
  readonly limits?: {
    readonly maxBufferSize: number;
    readonly maxStorageBufferBindingSize: number;
    readonly maxComputeWorkgroupStorageSize: number;
    readonly maxComputeInvocationsPerWorkgroup: number;
  };
  /** Present when a bundle's address was given. */
  readonly needs?: Needs;
}

/** What a bundle costs to load, and its usual picture to draw, guided and of the model's own size. */
export interface Needs {
  /** Of all its files. */
  readonly downloadBytes: number;
  /** Of those, what this browser has kept. */
  readonly cachedBytes: number;
  /** Of the wasm module's memory on `backend`; absent where the manifest does not say enough. */
  readonly peakHeapBytes?: number;
  /** Of the GPU's memory; 0 on the CPU. */
  readonly peakGpuBytes?: number;
  /** The largest buffer that a shader is given whole; 0 on the CPU. */
  readonly maxBindingBytes?: number;
  /** What the browser says of this origin's storage; absent where it does not. */
  readonly storage?: { readonly usage: number; readonly quota: number };
}

export interface SupportOptions {
  /** @default the platform's */
  readonly fetch?: Fetch;
  /** What each request carries beside its signal. */
  readonly init?: FetchSettings['init'];
  readonly signal?: AbortSignal;
}

/** With `url`, reads the bundle's manifest for its size, the kept one where the network is gone; rejects where there is neither. */
export function checkSupport(url?: ModelSource, options?: SupportOptions): Promise<Support> {
  let signal: AbortSignal | undefined;
  return guarded(
    async () => {
      readObject('options', options, ['fetch', 'init', 'signal']);
      const settings = readFetchSettings(options);
      signal = settings.signal;
      throwIfAborted(signal);
      const model = url === undefined ? undefined : await readModel(url, settings);
      return await describe(model);
    },
    () => signal,
  );
}

/** What is known of a model before it is loaded. */
interface Model {
  readonly downloadBytes: number;
  readonly cachedBytes: number;
  readonly listed: Listed | undefined;
}

async function describe(model: Model | undefined): Promise<Support> {
  const wasm = typeof WebAssembly === 'object';
  const found = await adapterOf();
  const onCpu = found.adapter === undefined || (found.software && model !== undefined && suitsCpu(model.downloadBytes));
  const backend: Backend = onCpu ? 'cpu' : 'webgpu';
  const support = {
    ok: wasm,
    ...(wasm ? { backend } : {}),
    ...(model === undefined ? {} : { needs: await needsOf(model, backend) }),
  } as const;
  if (found.adapter === undefined) return { ...support, code: found.code, webgpu: false, shaderF16: false, isFallbackAdapter: false };
  const { features, limits } = found.adapter;
  return {
    ...support,
    webgpu: true,
    shaderF16: features.has('shader-f16'),
    isFallbackAdapter: found.software,
    limits: {
      maxBufferSize: limits.maxBufferSize,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
    },
  };
}

type Found = { readonly adapter: GPUAdapter; readonly software: boolean } | { readonly adapter: undefined; readonly code: Code };

async function adapterOf(): Promise<Found> {
  try {
    const adapter = await requestAdapter();
    return { adapter, software: softwareName(adapter.info) !== undefined };
  } catch (error) {
    if (!(error instanceof DiffCRError)) throw error;
    return { adapter: undefined, code: error.code };
  }
}

async function readModel(url: ModelSource, settings: CheckedFetch): Promise<Model> {
  const files = await filesOf(await openSource(url), settings);
  const { json } = await readManifest(files, settings.signal ?? new AbortController().signal);
  const kept = (await files.store?.hashes().catch(() => undefined)) ?? new Set<unknown>();
  let [downloadBytes, cachedBytes] = [0, 0];
  for (const { bytes, sha256 } of listedFiles(json, files.urls.manifest)) {
    downloadBytes += bytes;
    if (kept.has(sha256)) cachedBytes += bytes;
  }
  const listed = JSON.parse(json) as Partial<Listed>;
  return {
    downloadBytes,
    cachedBytes,
    listed: listed.parts === undefined || listed.tensors === undefined ? undefined : (listed as Listed),
  };
}

async function needsOf({ downloadBytes, cachedBytes, listed }: Model, backend: Backend): Promise<Needs> {
  const storage: StorageManager | undefined = globalThis.navigator?.storage;
  const estimate = await storage?.estimate?.().catch(() => undefined);
  const { usage, quota } = estimate ?? {};
  return {
    downloadBytes,
    cachedBytes,
    ...memoryOf(listed, backend),
    ...(usage === undefined || quota === undefined ? {} : { storage: { usage, quota } }),
  };
}

/** A manifest that is not of this schema says nothing here: loading it will tell why. */
function memoryOf(listed: Listed | undefined, backend: Backend): Partial<Budget> {
  if (listed === undefined) return {};
  try {
    return budgetOf(listed, usualRequest(listed), backend);
  } catch {
    return {};
  }
}
