import { afterEach, expect, test, vi } from 'vitest';
import { addressed, resolveBundle, resolveFolder } from './bundle.ts';

afterEach(() => vi.unstubAllGlobals());

test.each(['https://host/models/scenes', 'https://host/models/scenes/', 'https://host/models/scenes/diffcr.json'])('%s', (url) => {
  const { manifest, file } = resolveBundle(url);
  expect([manifest, file('a/b')]).toEqual(['https://host/models/scenes/diffcr.json', 'https://host/models/scenes/a/b']);
});

test('a query goes to every file', () => {
  const { manifest, file } = resolveBundle(new URL('https://host/m/?key=1#top'));
  expect(manifest).toBe('https://host/m/diffcr.json?key=1');
  expect(file('b')).toBe('https://host/m/b?key=1');
});

test('a relative address counts from the page, and is refused where there is none', () => {
  expect(() => resolveBundle('models/scenes/')).toThrow(
    expect.objectContaining({ code: 'INVALID_INPUT', details: { field: 'url', reason: expect.any(String) } }),
  );
  vi.stubGlobal('document', { baseURI: 'https://host/app/index.html' });
  expect(resolveBundle('models/scenes').file('x')).toBe('https://host/app/models/scenes/x');
});

test('files may have addresses of their own', () => {
  const { manifest, file } = addressed({ 'diffcr.json': 'https://host/diffcr-8f2.json', 'a.safetensors': new URL('https://cdn/a-1c.bin') });
  expect([manifest, file('a.safetensors')]).toEqual(['https://host/diffcr-8f2.json', 'https://cdn/a-1c.bin']);
  expect(() => file('b')).toThrow(expect.objectContaining({ code: 'MANIFEST_INVALID', message: 'manifest: b has no address' }));
});

test('a folder ends in a slash', () => {
  expect(resolveFolder('https://host/wasm', 'wasmUrl')).toBe('https://host/wasm/');
});

test.each(['javascript:alert(1)', 'data:application/json,{}', 'blob:https://page/1', 'mailto:a@b', 'about:blank'])(
  '%s is no folder',
  (url) => {
    expect(() => resolveBundle(url)).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT', message: expect.stringContaining('is no address of a folder') as string }),
    );
  },
);
