import { expect, test } from 'vitest';
import { load } from './client.ts';
import type { LoadOptions } from './load_options.ts';
import type { Progress } from './progress.ts';
import { entryOf, fakeCaches, fakeFetch, fakeWasm, fakeWorker, fileBytes, type FakeOptions } from './testing/fake.ts';

const base = 'https://host/m/';
const [core, first, second] = [fileBytes(40, 1), fileBytes(300, 2), fileBytes(30, 3)];
const files = await Promise.all([entryOf('core', core), entryOf('t-1', first), entryOf('t-2', second)]);
const text = files.map((file) => (file.path === 'core' ? file : { ...file, part: 'textEncoder' as const }));
const manifest = { format: 'diffcr', formatVersion: 1, name: 'fake', version: 'v1', files: text };
const contents = new Map([
  [`${base}diffcr.json`, new TextEncoder().encode(JSON.stringify(manifest))],
  [`${base}core`, core],
  [`${base}t-1`, first],
  [`${base}t-2`, second],
]);

async function open(options: LoadOptions = {}, fake: FakeOptions = {}) {
  const wasm = fakeWasm(fake);
  const worker = fakeWorker(wasm);
  const net = fakeFetch(contents);
  const pipe = await load(base, { fetch: net.fetch, textEncoder: 'streamed', cache: 'none', ...options }, () => worker.connect);
  return { pipe, log: wasm.log, asked: net.asked, added: wasm.added };
}

test('a streamed text encoder is fetched for a prompt that is not known, in its order, and once', async () => {
  const { pipe, log, asked, added } = await open({ concurrency: 2 });
  expect([...added.keys()]).toEqual(['core']);
  expect(asked).not.toContain(`${base}t-1`);
  const phases: string[] = [];
  const heard: Progress[] = [];
  await pipe.generate({ prompt: 'cat', onPhase: (phase) => phases.push(phase), onLoad: (progress) => heard.push(progress) });
  expect(log.filter((line) => line.startsWith('text'))).toEqual(['text t-1', 'text t-2']);
  expect(phases).toEqual(['load', 'encode', 'denoise', 'decode']);
  expect(heard.at(-1)).toMatchObject({ overall: 1, totalBytes: 330, loadedBytes: 330 });
  await pipe.generate({ prompt: 'cat', onPhase: (phase) => phases.push(phase) });
  expect(log.filter((line) => line.startsWith('text'))).toHaveLength(2);
  expect(phases.slice(4)).toEqual(['encode', 'denoise', 'decode']);
  await pipe.generate({ prompt: 'dog' });
  expect(log.filter((line) => line.startsWith('text'))).toHaveLength(4);
});

test('a resident one comes with the rest', async () => {
  const { pipe, added } = await open({ textEncoder: 'resident' });
  expect([...added.keys()].sort()).toEqual(['core', 't-1', 't-2']);
  const phases: string[] = [];
  await pipe.generate({ prompt: 'cat', onPhase: (phase) => phases.push(phase) });
  expect(phases[0]).toBe('encode');
});

test('what it made of a prompt is remembered between visits, unless told otherwise', async () => {
  const { caches, names } = fakeCaches();
  const visit = async (options: LoadOptions) => {
    const { pipe, log } = await open(options, { caches });
    await pipe.generate({ prompt: 'cat' });
    return log.filter((line) => line.startsWith('text')).length;
  };
  expect(await visit({ rememberPrompts: false })).toBe(2);
  expect(names()).not.toContain('diffcr-prompts');
  expect(await visit({})).toBe(2);
  expect(names()).toContain('diffcr-prompts');
  expect(await visit({})).toBe(0);
  expect(await visit({ rememberPrompts: false })).toBe(2);
});

test('a run that is stopped while its encoder comes leaves the next one whole', async () => {
  const controller = new AbortController();
  const { pipe, log } = await open({ concurrency: 1 });
  const stopped = pipe.generate({ prompt: 'cat', signal: controller.signal, onLoad: () => controller.abort() });
  await expect(stopped).rejects.toMatchObject({ name: 'AbortError' });
  await pipe.generate({ prompt: 'cat' });
  expect(log.filter((line) => line === 'text t-2')).toHaveLength(1);
});

test('both options are checked', async () => {
  await expect(open({ textEncoder: 'steamed' as never })).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    details: { field: 'textEncoder' },
  });
  await expect(open({ rememberPrompts: 1 as never })).rejects.toMatchObject({ details: { field: 'rememberPrompts' } });
});
