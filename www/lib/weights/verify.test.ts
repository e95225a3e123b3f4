import { afterEach, expect, test, vi } from 'vitest';
import { entryOf, fileBytes } from '../testing/fake.ts';
import { verify } from './verify.ts';

afterEach(() => vi.unstubAllGlobals());

const bytes = fileBytes(1000, 1);

test('the right bytes pass', async () => {
  expect(await verify(bytes, await entryOf('a', bytes))).toBeUndefined();
});

test('the digest is SHA-256', async () => {
  const abc = new TextEncoder().encode('abc');
  const sha256 = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  expect(await verify(abc, { path: 'a', bytes: 3, sha256, part: 'vae' })).toBeUndefined();
});

test('short, long and altered bytes do not', async () => {
  const entry = await entryOf('a', bytes);
  const altered = bytes.slice();
  altered[500] = (altered[500] ?? 0) ^ 1;
  expect(await verify(bytes.subarray(0, 999), entry)).toMatch(/^truncated: 999 of 1000/);
  expect(await verify(fileBytes(1001, 1), entry)).toMatch(/^longer than the 1000/);
  expect(await verify(altered, entry)).toMatch(/^altered/);
});

test('without WebCrypto the length still counts', async () => {
  const entry = await entryOf('a', bytes);
  vi.stubGlobal('crypto', {});
  expect(await verify(bytes, { ...entry, sha256: '0'.repeat(64) })).toBeUndefined();
  expect(await verify(bytes.subarray(1), entry)).toMatch(/^truncated/);
});
