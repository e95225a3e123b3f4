/** What this browser can do for a model, told before anything large is fetched. */

import { requestAdapter, softwareName, suitsCpu } from './adapter.ts';
import { listedFiles, resolveBundle } from './bundle.ts';
import { DiffCRError, type Code } from './errors.ts';
import type { Backend } from './protocol.ts';
import { fetchBytes, type Fetch } from './weights/fetch.ts';
import { Store } from './weights/store.ts';

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

/** With `url`, reads the bundle's manifest for its size; rejects when that fails. */
export async function checkSupport(url?: string | URL, options: SupportOptions = {}): Promise<Support> {
  const needs = url === undefined ? undefined : await needsOf(url, options);
  const wasm = typeof WebAssembly === 'object';
  const base = { ok: wasm, ...(wasm ? { backend: 'cpu' as const } : {}), ...(needs === undefined ? {} : { needs }) };
  try {
    const { features, info, limits } = await requestAdapter();
    const isFallbackAdapter = softwareName(info) !== undefined;
    const onCpu = isFallbackAdapter && needs !== undefined && suitsCpu(needs.downloadBytes);
    return {
      ...base,
      ...(wasm && !onCpu ? { backend: 'webgpu' as const } : {}),
      webgpu: true,
      shaderF16: features.has('shader-f16'),
      isFallbackAdapter,
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
  const json = new TextDecoder().decode(
    await fetchBytes(manifest, {
      fetch: options.fetch ?? platformFetch,
      signal: options.signal ?? new AbortController().signal,
    }),
  );
  const store = await Store.open();
  const kept = (await store?.hashes().catch(() => undefined)) ?? new Set<unknown>();
  let [downloadBytes, cachedBytes] = [0, 0];
  for (const { bytes, sha256 } of listedFiles(json, manifest)) {
    downloadBytes += bytes;
    if (kept.has(sha256)) cachedBytes += bytes;
  }
  return { downloadBytes, cachedBytes };
}

export const platformFetch: Fetch = (input, init) => globalThis.fetch(input, init);
