import { afterEach, expect, test, vi } from 'vitest';

afterEach(() => vi.unstubAllGlobals());

test('importing touches nothing of the browser', async () => {
  const touched: string[] = [];
  for (const name of [
    'navigator',
    'document',
    'window',
    'self',
    'Worker',
    'WebAssembly',
    'fetch',
    'crypto',
    'ImageData',
    'OffscreenCanvas',
  ]) {
    const trap = { get: () => void touched.push(name), configurable: true };
    const original = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, trap);
    restore.push(() => (original ? Object.defineProperty(globalThis, name, original) : Reflect.deleteProperty(globalThis, name)));
  }
  try {
    const { loadModel, checkSupport, DiffCRError } = await import('./index.ts');
    expect([typeof loadModel, typeof checkSupport, typeof DiffCRError]).toEqual(['function', 'function', 'function']);
  } finally {
    for (const undo of restore) undo();
  }
  expect(touched).toEqual([]);
});

const restore: (() => unknown)[] = [];
