import { expect, test } from 'vitest';
import { ProgressMeter } from '../progress.ts';
import { fakeBundle, fakeFetch } from '../testing/fake.ts';
import { fetchChunks, type ChunkOptions } from './chunks.ts';

const base = 'https://host/m/';
const { contents, entries } = await fakeBundle(base, [300, 200, 100, 50, 25, 10]);

function options(over: Partial<ChunkOptions> & Pick<ChunkOptions, 'fetch'>): ChunkOptions {
  return {
    address: (path) => base + path,
    signal: new AbortController().signal,
    concurrency: 2,
    meter: new ProgressMeter(),
    deliver: async () => {},
    backoffMs: [1],
    ...over,
  };
}

test('delivers every file whole', async () => {
  const got = new Map<string, Uint8Array>();
  await fetchChunks(entries, options({ ...fakeFetch(contents), deliver: async ({ path }, bytes) => void got.set(base + path, bytes) }));
  for (const { path } of entries) expect(got.get(base + path)).toEqual(contents.get(base + path));
});

test.each([1, 2, 4])('holds at most %i chunks', async (concurrency) => {
  let held = 0;
  let most = 0;
  const { fetch } = fakeFetch(contents, () => {
    most = Math.max(most, (held += 1));
    return undefined;
  });
  const deliver = async (): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 3));
    held -= 1;
  };
  await fetchChunks(entries, options({ fetch, concurrency, deliver }));
  expect(most).toBe(concurrency);
});

test('a damaged chunk is fetched again once, past the cache', async () => {
  const url = `${base}part-1.safetensors`;
  const { fetch, asked, inits } = fakeFetch(contents, (at, attempt) =>
    at === url && attempt === 1 ? new Response(new Uint8Array(200)) : undefined,
  );
  await fetchChunks(entries, options({ fetch }));
  expect(asked.filter((each) => each === url)).toHaveLength(2);
  expect(inits[asked.lastIndexOf(url)]?.cache).toBe('reload');
});

test.each([
  ['truncated', new Uint8Array(150)],
  ['altered', new Uint8Array(200)],
  ['longer', new Uint8Array(201)],
])('a chunk that is %s twice is INTEGRITY, and stops the rest', async (reason, body) => {
  const url = `${base}part-1.safetensors`;
  const { fetch, asked } = fakeFetch(contents, (at) => (at === url ? new Response(body) : undefined));
  await expect(fetchChunks(entries, options({ fetch, concurrency: 1 }))).rejects.toMatchObject({
    code: 'INTEGRITY',
    details: { file: 'part-1.safetensors', reason: expect.stringMatching(new RegExp(`^${reason}`)) },
  });
  expect(asked.filter((each) => each === url)).toHaveLength(2);
  expect(asked).not.toContain(`${base}part-2.safetensors`);
});

test('a missing chunk is NETWORK, by its address', async () => {
  const { fetch } = fakeFetch(contents, (at) => (at.endsWith('part-3.safetensors') ? new Response('', { status: 404 }) : undefined));
  await expect(fetchChunks(entries, options({ fetch }))).rejects.toMatchObject({
    code: 'NETWORK',
    details: { url: `${base}part-3.safetensors`, status: 404 },
  });
});

test('a failed delivery is the failure of all', async () => {
  const deliver = async (): Promise<void> => {
    throw new Error('full');
  };
  await expect(fetchChunks(entries, options({ ...fakeFetch(contents), deliver }))).rejects.toThrow('full');
});

test('an abort stops it', async () => {
  const controller = new AbortController();
  const deliver = async (): Promise<void> => controller.abort();
  await expect(fetchChunks(entries, options({ ...fakeFetch(contents), deliver, signal: controller.signal }))).rejects.toMatchObject({
    name: 'AbortError',
  });
});
