import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { load } from './client.ts';
import { download } from './download.ts';
import type { DiffCRError } from './errors.ts';
import { models } from './models.ts';
import type { Progress } from './progress.ts';
import { checkSupport } from './support.ts';
import { FakeCaches } from './testing/caches.ts';
import { fakeBundle, fakeFetch, fakeWasm, fakeWorker } from './testing/fake.ts';
import type { Fetch } from './weights/fetch.ts';

const base = 'https://host/m/';
const manifestUrl = `${base}diffcr.json`;
const bundle = await fakeBundle(base, [300, 200, 100]);
const offline: Fetch = () => Promise.reject(new TypeError('Failed to fetch'));

let caches: FakeCaches;
beforeEach(() => {
  caches = new FakeCaches();
  vi.stubGlobal('caches', caches);
  vi.stubGlobal('navigator', { onLine: false }); // no waiting between attempts
});
afterEach(() => vi.unstubAllGlobals());

/** Loads the bundle; what was fetched and what was told. */
async function visit(fetch?: Fetch, cache?: 'none', contents = bundle.contents) {
  const server = fakeFetch(contents);
  const wasm = fakeWasm();
  const [events, warnings]: [Progress[], DiffCRError[]] = [[], []];
  const told = { onProgress: (event: Progress) => events.push(event), onWarning: (warning: DiffCRError) => warnings.push(warning) };
  const worker = fakeWorker(wasm);
  await load(base, { fetch: fetch ?? server.fetch, ...told, ...(cache === undefined ? {} : { cache }) }, () => worker.connect);
  return { asked: server.asked, added: wasm.added, progress: events.at(-1), warnings };
}

test('the second visit fetches the manifest alone', async () => {
  const first = await visit();
  expect(first.asked).toHaveLength(4);
  expect(first.progress).toMatchObject({ cachedBytes: 0, loadedBytes: 600 });
  const second = await visit();
  expect(second.asked).toEqual([manifestUrl]);
  expect(second.progress).toMatchObject({ cachedBytes: 600, loadedBytes: 600, overall: 1 });
  expect(second.added).toEqual(first.added);
});

test('support tells what is here already', async () => {
  await visit();
  caches.entries.delete(`https://diffcr-web.invalid/sha256/${bundle.entries[1]?.sha256}`);
  const { needs } = await checkSupport(base, { fetch: fakeFetch(bundle.contents).fetch });
  expect(needs).toMatchObject({ downloadBytes: 600, cachedBytes: 400 });
});

test('support of a kept model is told offline, from the manifest that was kept', async () => {
  await expect(checkSupport(base, { fetch: offline })).rejects.toMatchObject({ code: 'NETWORK' });
  await visit();
  expect((await checkSupport(base, { fetch: offline })).needs).toMatchObject({ downloadBytes: 600, cachedBytes: 600 });
});

test('a signed address is the same model at each visit, and its signature goes with every file', async () => {
  const asked: string[] = [];
  const server = fakeFetch(bundle.contents);
  const signed: Fetch = (url, init) => (asked.push(url), server.fetch(url.replace(/\?.*/, ''), init));
  for (const key of ['one', 'two']) await load(`${base}?key=${key}`, { fetch: signed }, () => fakeWorker(fakeWasm()).connect);
  expect(asked.slice(0, 4).every((url) => url.endsWith('?key=one'))).toBe(true);
  expect(asked.slice(4)).toEqual([`${manifestUrl}?key=two`]);
  expect(await models.list()).toMatchObject([{ url: manifestUrl, complete: true }]);
  expect(await models.has(`${base}?key=three`)).toBe(true);
});

test('a model is brought without being opened, and told where it cannot stay', async () => {
  const { fetch } = fakeFetch(bundle.contents);
  expect(await download(base, { fetch })).toEqual({ url: manifestUrl, name: 'fake', version: 'v1', bytes: 600, complete: true });
  expect((await visit(offline)).added.size).toBe(3);
  caches.refuses = new DOMException('full', 'QuotaExceededError');
  caches.entries.clear();
  await expect(download(base, { fetch })).rejects.toMatchObject({ name: 'DiffCRError', code: expect.stringMatching(/QUOTA|INTERNAL/) });
  await expect(download(base, { fetch, cache: 'none' })).rejects.toMatchObject({ code: 'QUOTA' });
});

test('a path that leaves the bundle is never fetched', async () => {
  const files = [{ path: '../secret', bytes: 1, sha256: '0'.repeat(64) }];
  const { fetch, asked } = fakeFetch(new Map([[manifestUrl, new TextEncoder().encode(JSON.stringify({ files }))]]));
  await expect(download(base, { fetch })).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
  expect(asked).toEqual([manifestUrl]);
});

test('a manifest that is not the pinned one is INTEGRITY', async () => {
  const { fetch } = fakeFetch(bundle.contents);
  const digest = await crypto.subtle.digest('SHA-256', bundle.contents.get(manifestUrl) ?? new Uint8Array());
  const open = (integrity: string) => load(base, { fetch, integrity }, () => fakeWorker(fakeWasm()).connect);
  await open(`sha256-${Buffer.from(digest).toString('base64')}`);
  await open(Buffer.from(digest).toString('hex'));
  await expect(open('0'.repeat(64))).rejects.toMatchObject({ code: 'INTEGRITY', details: { file: 'diffcr.json', pinned: '0'.repeat(64) } });
  await expect(open('md5-1')).rejects.toMatchObject({ code: 'INVALID_INPUT', details: { field: 'integrity' } });
});

test('a kept model opens offline; one that is not there fails as it did', async () => {
  await expect(visit(offline)).rejects.toMatchObject({ code: 'NETWORK' });
  await visit();
  expect((await visit(offline)).added.size).toBe(3);
});

test('offline, a file that is not kept is OFFLINE_MISS by its name', async () => {
  await visit();
  caches.entries.delete(`https://diffcr-web.invalid/sha256/${bundle.entries[1]?.sha256}`);
  expect(await models.has(base)).toBe(false);
  await expect(visit(offline)).rejects.toMatchObject({ code: 'OFFLINE_MISS', details: { file: 'part-1.safetensors' } });
});

test('a server that answers is believed: a model that was taken away is gone', async () => {
  await visit();
  const gone: Fetch = async () => new Response('', { status: 404 });
  await expect(visit(gone)).rejects.toMatchObject({ code: 'NETWORK', details: { status: 404 } });
});

test('a kept file that is damaged is fetched anew', async () => {
  await visit();
  const key = [...caches.entries.keys()].find((key) => key.endsWith(bundle.entries[0]?.sha256 ?? '?')) ?? '';
  caches.entries.set(key, new Uint8Array(300));
  const { asked } = await visit();
  expect(asked).toEqual([manifestUrl, `${base}part-0.safetensors`]);
  expect((await visit()).asked).toEqual([manifestUrl]);
});

test('a browser that keeps nothing is told of once, and the model loads', async () => {
  caches.refuses = new DOMException('full', 'QuotaExceededError');
  const { added, warnings } = await visit();
  expect(added.size).toBe(3);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatchObject({ code: 'QUOTA', details: { bytes: expect.any(Number) } });
});

test('caches that cannot be opened or read are as good as none', async () => {
  vi.stubGlobal('caches', { open: () => Promise.reject(new DOMException('no', 'SecurityError')) });
  expect((await visit()).added.size).toBe(3);
  expect(await models.list()).toEqual([]);
  vi.stubGlobal('caches', undefined);
  expect((await visit()).added.size).toBe(3);
  const broken = Object.assign(new FakeCaches(), { match: () => Promise.reject(new Error('broken')) });
  vi.stubGlobal('caches', broken);
  expect((await visit()).added.size).toBe(3);
});

test('`cache: none` reads and keeps nothing; anything else is refused', async () => {
  await visit(undefined, 'none');
  expect(caches.entries.size).toBe(0);
  await expect(visit(undefined, 'opfs' as 'none')).rejects.toMatchObject({ code: 'INVALID_INPUT', details: { field: 'cache' } });
});

test('a new version takes the place of the old one; what they share stays', async () => {
  await visit();
  const next = await fakeBundle(base, [300, 200, 50]);
  const { asked } = await visit(undefined, undefined, next.contents);
  expect(asked).toEqual([manifestUrl, `${base}part-2.safetensors`]);
  expect(await models.list()).toEqual([{ url: manifestUrl, name: 'fake', version: 'v1', bytes: 550, complete: true }]);
  expect(caches.entries.size).toBe(4);
});

test('an interrupted load goes on with the chunks it had', async () => {
  const server = fakeFetch(bundle.contents);
  const cut: Fetch = async (url, init) =>
    url.endsWith('part-2.safetensors') ? new Response('', { status: 403 }) : await server.fetch(url, init);
  await expect(visit(cut)).rejects.toMatchObject({ code: 'NETWORK' });
  expect(await models.has(base)).toBe(false);
  const { asked, progress } = await visit();
  expect(asked).toContain(`${base}part-2.safetensors`);
  expect(progress?.cachedBytes).toBeGreaterThanOrEqual(300);
});

test('models are listed, removed and cleared', async () => {
  await visit();
  expect(await models.has(base)).toBe(true);
  expect(await models.get(base)).toEqual({ url: manifestUrl, name: 'fake', version: 'v1', bytes: 600, complete: true });
  expect(await models.has('https://host/other')).toBe(false);
  expect(await models.get('https://host/other')).toBeUndefined();
  expect(await models.remove(base)).toBe(true);
  expect(caches.entries.size).toBe(0);
  expect(await models.remove(base)).toBe(false);
  await visit();
  await models.prune();
  expect(await models.has(base)).toBe(true);
  caches.entries.set(`https://diffcr-web.invalid/manifest?of=${encodeURIComponent('https://host/broken')}`, new Uint8Array([1]));
  expect(await models.list()).toHaveLength(1);
  await models.clear();
  expect(await models.list()).toEqual([]);
});
