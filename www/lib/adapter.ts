/** The WebGPU adapter: asked for, told from one that only pretends to be a GPU, and what that means for `device: 'auto'`. */

import { DiffCRError } from './errors.ts';
import type { PowerPreference } from './protocol.ts';
import type { AdapterName } from './kernels.ts';

/** Of `GPUAdapterInfo`, what is read of it here. */
export interface AdapterInfo extends AdapterName {
  /** Missing in older browsers. */
  readonly isFallbackAdapter?: boolean;
}

/** Up to this size of its files a model is drawn faster by the CPU build, which holds it in f32, than by WebGPU on the CPU. */
const SMALL_BYTES = 64 * 2 ** 20;

/** SwiftShader in Chromium, Mesa's llvmpipe (OpenGL) and lavapipe (Vulkan), and WARP, Windows' Basic Render Driver. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bwarp\b/i;

/** An adapter, or `WEBGPU_UNAVAILABLE` or `NO_ADAPTER`. Costs nothing to ask. */
export async function requestAdapter(powerPreference: PowerPreference = 'high-performance'): Promise<GPUAdapter> {
  const gpu: GPU | undefined = globalThis.navigator?.gpu;
  if (gpu === undefined) {
    throw new DiffCRError('WEBGPU_UNAVAILABLE', 'WebGPU is not available: this browser or this page has none', {
      secureContext: globalThis.isSecureContext ?? false,
    });
  }
  const adapter = await gpu.requestAdapter({ powerPreference }).catch((cause: unknown) => {
    throw new DiffCRError('NO_ADAPTER', 'no WebGPU adapter: the browser failed to give one', {}, cause);
  });
  if (adapter === null) throw new DiffCRError('NO_ADAPTER', 'no WebGPU adapter: the browser has none for this machine');
  return adapter;
}

/** The name of an adapter that computes on the CPU; undefined for a GPU. */
export function softwareName({ isFallbackAdapter, description, architecture, device, vendor }: AdapterInfo): string | undefined {
  const names = [description, architecture, device, vendor];
  const software = isFallbackAdapter === true || names.some((name) => SOFTWARE.test(name));
  return software ? (names.find((name) => name !== '') ?? 'a software adapter') : undefined;
}

/** Whether the CPU build takes a model of so many bytes off an adapter that computes on the CPU. */
export function suitsCpu(modelBytes: number): boolean {
  return modelBytes <= SMALL_BYTES;
}
