import { afterEach, expect, test, vi } from 'vitest';
import { requestAdapter, softwareName, suitsCpu, type AdapterInfo } from './adapter.ts';

afterEach(() => vi.unstubAllGlobals());

const none: AdapterInfo = { vendor: '', architecture: '', device: '', description: '' };

test.each([
  [{ vendor: 'google', architecture: 'swiftshader' }, 'swiftshader'],
  [{ vendor: 'google', architecture: 'swiftshader', isFallbackAdapter: true }, 'swiftshader'],
  [{ vendor: 'mesa', description: 'llvmpipe (LLVM 15.0.6, 256 bits)' }, 'llvmpipe (LLVM 15.0.6, 256 bits)'],
  [{ vendor: 'mesa', architecture: 'Lavapipe' }, 'Lavapipe'],
  [{ vendor: 'microsoft', description: 'Microsoft Basic Render Driver' }, 'Microsoft Basic Render Driver'],
  [{ vendor: 'microsoft', architecture: 'warp' }, 'warp'],
  [{ vendor: 'unknown', isFallbackAdapter: true }, 'unknown'],
  [{ isFallbackAdapter: true }, 'a software adapter'],
])('%o computes on the CPU', (info, name) => {
  expect(softwareName({ ...none, ...info })).toBe(name);
});

test.each([
  {},
  { isFallbackAdapter: false },
  { vendor: 'nvidia', architecture: 'ampere', description: 'NVIDIA GeForce RTX 3060' },
  { vendor: 'intel', architecture: 'gen-12lp', isFallbackAdapter: false },
  { vendor: 'apple', architecture: 'metal-3' },
  { vendor: 'amd', description: 'AMD Radeon (RADV), warped' },
])('%o is a GPU', (info) => {
  expect(softwareName({ ...none, ...info })).toBeUndefined();
});

test('small is up to 64 MiB', () => {
  expect([0, 5e6, 64 * 2 ** 20, 64 * 2 ** 20 + 1].map(suitsCpu)).toEqual([true, true, true, false]);
});

test.each([
  ['WEBGPU_UNAVAILABLE', {}],
  ['NO_ADAPTER', { gpu: { requestAdapter: async () => null } }],
  ['NO_ADAPTER', { gpu: { requestAdapter: () => Promise.reject(new Error('driver')) } }],
])('no adapter is %s', async (code, navigator) => {
  vi.stubGlobal('navigator', navigator);
  await expect(requestAdapter()).rejects.toMatchObject({ name: 'DiffCRError', code });
});
