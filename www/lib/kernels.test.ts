import { expect, test, vi } from 'vitest';
import { platformCaches } from './caches.ts';
import { forgetKernels, keepKernels, recallKernels, type Conditions } from './kernels.ts';
import { fakeCaches } from './testing/fake.ts';

const adapter = { vendor: 'acme', architecture: 'one', device: '', description: '' };
const conditions: Conditions = { version: '1.0.0', adapter, model: 'abc', precision: 'half' };

test('what was kept comes back, under the same conditions alone', async () => {
  const { caches } = fakeCaches();
  expect(await recallKernels(caches, conditions)).toBeUndefined();
  await keepKernels(caches, conditions, '[1]');
  await keepKernels(caches, { ...conditions, precision: 'int8' }, '[2]');
  expect(await recallKernels(caches, conditions)).toBe('[1]');
  expect(await recallKernels(caches, { ...conditions, precision: 'int8' })).toBe('[2]');
  const others = [
    { version: '1.0.1' },
    { model: 'abd' },
    { precision: 'exact' as const },
    { adapter: { ...adapter, architecture: 'two' } },
  ];
  for (const other of others) expect(await recallKernels(caches, { ...conditions, ...other })).toBeUndefined();
});

test('another version of the package clears what it finds, and nothing that is not ours', async () => {
  const { caches, names } = fakeCaches('a-page-of-its-own');
  await keepKernels(caches, { ...conditions, version: '0.9.0' }, '[0]');
  await keepKernels(caches, conditions, '[1]');
  expect(names()).toEqual(['a-page-of-its-own', 'diffcr-kernels-1.0.0']);
  await forgetKernels(caches);
  expect(names()).toEqual(['a-page-of-its-own']);
});

test('an adapter without a name is not remembered: it could be any', async () => {
  const { caches, names } = fakeCaches();
  const nameless = { ...conditions, adapter: { vendor: '', architecture: '', device: '', description: '' } };
  await keepKernels(caches, nameless, '[1]');
  expect(names()).toEqual([]);
  expect(await recallKernels(caches, nameless)).toBeUndefined();
});

test('storage that is missing or fails is empty', async () => {
  const refuse = async (): Promise<never> => {
    throw new DOMException('the quota is exceeded', 'QuotaExceededError');
  };
  const { caches } = fakeCaches();
  for (const broken of [undefined, { ...caches, match: refuse, open: refuse }, { ...caches, open: async () => ({ put: refuse }) }]) {
    const storage = broken as CacheStorage | undefined;
    await keepKernels(storage, conditions, '[1]');
    expect(await recallKernels(storage, conditions)).toBeUndefined();
  }
  Object.defineProperty(globalThis, 'caches', {
    configurable: true,
    get: () => {
      throw new DOMException('not here', 'SecurityError');
    },
  });
  expect(platformCaches()).toBeUndefined();
  Reflect.deleteProperty(globalThis, 'caches');
});

test('storage that does not answer is not waited for', async () => {
  vi.useFakeTimers();
  const { caches } = fakeCaches();
  const silent = { ...caches, match: () => new Promise(() => {}), open: () => new Promise(() => {}) } as unknown as CacheStorage;
  const both = Promise.all([recallKernels(silent, conditions), keepKernels(silent, conditions, '[1]')]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(await both).toEqual([undefined, undefined]);
  vi.useRealTimers();
});
