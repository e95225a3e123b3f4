import { afterEach, expect, test, vi } from 'vitest';
import { resolveBundle, resolveFolder } from './bundle.ts';

afterEach(() => vi.unstubAllGlobals());

test.each(['https://host/models/scenes', 'https://host/models/scenes/', 'https://host/models/scenes/diffcr.json'])('%s', (url) => {
  expect(resolveBundle(url)).toEqual({ manifest: 'https://host/models/scenes/diffcr.json', base: 'https://host/models/scenes/' });
});

test('a query stays with the manifest', () => {
  const { manifest, base } = resolveBundle(new URL('https://host/m/?key=1#top'));
  expect(manifest).toBe('https://host/m/diffcr.json?key=1');
  expect(base).toBe('https://host/m/');
});

test('a relative address counts from the page, and is refused where there is none', () => {
  expect(() => resolveBundle('models/scenes/')).toThrow(
    expect.objectContaining({ code: 'INVALID_INPUT', details: { field: 'url', reason: expect.any(String) } }),
  );
  vi.stubGlobal('document', { baseURI: 'https://host/app/index.html' });
  expect(resolveBundle('models/scenes').base).toBe('https://host/app/models/scenes/');
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
