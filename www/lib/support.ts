/** What this browser can do for a model, told before anything large is fetched. */

import { resolveBundle } from './bundle.ts';
import { DiffCRError, type Code } from './errors.ts';
import type { Backend } from './protocol.ts';
import { fetchBytes, type Fetch } from './weights/fetch.ts';
import { Store } from './weights/store.ts';

export interface Support {
  /** The model can run here, on one backend or the other. */
  readonly ok: boolean;
  /** What `device: 'auto'` will take. */
  readonly backend?: Backend;
  /** Why there is no WebGPU. */
  readonly code?: Code;
  readonly webgpu: boolean;
  readonly shaderF16: boolean;
  /** The adapter computes on the CPU. */
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

/** What a bundle costs to load. */
export interface Needs {
  /** Of all its files. */
  readonly downloadBytes: number;
  /** Of those, what this browser has kept. */
  readonly cachedBytes: number;
}

export interface SupportOptions {
  /** @default the platform's */
  readonly fetch?: Fetch;
  readonly signal?: AbortSignal;
}

/** An adapter, or `WEBGPU_UNAVAILABLE` or `NO_ADAPTER`. Costs nothing to ask. */
export async function requestAdapter(): Promise<GPUAdapter> {
  const gpu: GPU | undefined = globalThis.navigator?.gpu;
  if (gpu === undefined) {
    throw new DiffCRError('WEBGPU_UNAVAILABLE', 'WebGPU is not available: this browser or this page has none', {
      secureContext: globalThis.isSecureContext ?? false,
    });
  }
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' }).catch((cause: unknown) => {
    throw new DiffCRError('NO_ADAPTER', 'no WebGPU adapter: the browser failed to give one', {}, cause);
  });
  if (adapter === null) throw new DiffCRError('NO_ADAPTER', 'no WebGPU adapter: the browser has none for this machine');
  return adapter;
}

/** With `url`, reads the bundle's manifest for its size; rejects when that fails. */
export async function checkSupport(url?: string | URL, options: SupportOptions = {}): Promise<Support> {
  const needs = url === undefined ? undefined : await needsOf(url, options);
  const wasm = typeof WebAssembly === 'object';
  const base = { ok: wasm, ...(wasm ? { backend: 'cpu' as const } : {}), ...(needs === undefined ? {} : { needs }) };
  try {
    const { features, info, limits } = await requestAdapter();
    return {
      ...base,
      ...(wasm ? { backend: 'webgpu' as const } : {}),
      webgpu: true,
      shaderF16: features.has('shader-f16'),
      isFallbackAdapter: info.isFallbackAdapter,
      limits: {
        maxBufferSize: limits.maxBufferSize,
        maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
        maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
        maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
      },
    };
  } catch (error) {
    if (!(error instanceof DiffCRError)) throw error;
    return { ...base, code: error.code, webgpu: false, shaderF16: false, isFallbackAdapter: false };
  }
}

async function needsOf(url: string | URL, options: SupportOptions): Promise<Needs> {
  const { manifest } = resolveBundle(url);
  const invalid = (reason: string, cause?: unknown): DiffCRError =>
    new DiffCRError('MANIFEST_INVALID', `manifest: ${reason}`, { url: manifest }, cause);
  const json = new TextDecoder().decode(
    await fetchBytes(manifest, {
      fetch: options.fetch ?? platformFetch,
      signal: options.signal ?? new AbortController().signal,
    }),
  );
  let files: unknown;
  try {
    files = JSON.parse(json)?.files;
  } catch (cause) {
    throw invalid('not JSON', cause);
  }
  if (!Array.isArray(files)) throw invalid('`files` is missing');
  const store = await Store.open();
  const kept = (await store?.hashes().catch(() => undefined)) ?? new Set<unknown>();
  let [downloadBytes, cachedBytes] = [0, 0];
  for (const file of files) {
    const { bytes, sha256 }: { bytes?: unknown; sha256?: unknown } = typeof file === 'object' && file !== null ? file : {};
    if (typeof bytes !== 'number' || !(bytes >= 0)) throw invalid('a file has no `bytes`');
    downloadBytes += bytes;
    if (kept.has(sha256)) cachedBytes += bytes;
  }
  return { downloadBytes, cachedBytes };
}

export const platformFetch: Fetch = (input, init) => globalThis.fetch(input, init);
