import { afterEach, expect, test, vi } from 'vitest';
import { checkSupport } from './support.ts';
import { fakeBundle, fakeFetch } from './testing/fake.ts';

afterEach(() => vi.unstubAllGlobals());

/** What fetches a manifest of that text. */
function served(text: string) {
  const { fetch } = fakeFetch(new Map([['https://host/m/diffcr.json', new TextEncoder().encode(text)]]));
  return { fetch };
}

const limits = {
  maxBufferSize: 1 << 30,
  maxStorageBufferBindingSize: 1 << 27,
  maxComputeWorkgroupStorageSize: 32768,
  maxComputeInvocationsPerWorkgroup: 256,
};
const info = { vendor: 'acme', architecture: 'one', device: '', description: '', isFallbackAdapter: false };
const adapter = { features: new Set(['shader-f16']), info, limits: { ...limits, other: 1 } };

test('with WebGPU', async () => {
  vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => adapter } });
  expect(await checkSupport()).toEqual({ ok: true, backend: 'webgpu', webgpu: true, shaderF16: true, isFallbackAdapter: false, limits });
});

test.each([
  ['WEBGPU_UNAVAILABLE', {}],
  ['NO_ADAPTER', { gpu: { requestAdapter: async () => null } }],
  ['NO_ADAPTER', { gpu: { requestAdapter: () => Promise.reject(new Error('driver')) } }],
])('without: %s, and the CPU stands in', async (code, navigator) => {
  vi.stubGlobal('navigator', navigator);
  expect(await checkSupport()).toEqual({ ok: true, backend: 'cpu', code, webgpu: false, shaderF16: false, isFallbackAdapter: false });
});

test.each([
  { ...info, isFallbackAdapter: true },
  { ...info, vendor: 'google', architecture: 'swiftshader' },
])('software takes small models off WebGPU: %o', async (info) => {
  vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => ({ ...adapter, info }) } });
  const ofSize = (bytes: number) => served(JSON.stringify({ files: [{ bytes }] }));
  const found = { ok: true, webgpu: true, isFallbackAdapter: true };
  expect(await checkSupport('https://host/m', ofSize(10))).toMatchObject({ ...found, backend: 'cpu' });
  expect(await checkSupport('https://host/m', ofSize(65 * 2 ** 20))).toMatchObject({ ...found, backend: 'webgpu' });
  expect(await checkSupport()).toMatchObject({ ...found, backend: 'webgpu' });
});

test('without WebAssembly nothing runs', async () => {
  vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => adapter } });
  vi.stubGlobal('WebAssembly', undefined);
  const support = await checkSupport();
  expect(support.ok).toBe(false);
  expect(support.backend).toBeUndefined();
});

test('tells the size of a bundle before it is fetched', async () => {
  const { contents } = await fakeBundle('https://host/m/', [300, 200]);
  const { fetch, asked } = fakeFetch(contents);
  expect((await checkSupport('https://host/m', { fetch })).needs).toMatchObject({ downloadBytes: 500, cachedBytes: 0 });
  expect(asked).toEqual(['https://host/m/diffcr.json']);
});

test.each(['not json', '{}', 'null', '{"files":[{"bytes":"many"}]}', '{"files":[null]}'])(
  'a manifest of %s is MANIFEST_INVALID',
  async (text) => {
    await expect(checkSupport('https://host/m', served(text))).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
  },
);
