import { expect, test, vi } from 'vitest';
import { load, loadModel } from './client.ts';
import { DiffCRError } from './errors.ts';
import type { Precision } from './kernels.ts';
import type { Progress } from './progress.ts';
import { fakeBundle, fakeFetch, fakeWasm, fakeWorker, wasmError, type FakeOptions } from './testing/fake.ts';

const base = 'https://host/m/';
const { contents, manifest } = await fakeBundle(base, [300, 200, 100]);

function setup(options: FakeOptions = {}, ...faults: Parameters<typeof fakeFetch>[1][]) {
  const wasm = fakeWasm(options);
  const worker = fakeWorker(wasm);
  return { ...wasm, worker, ...fakeFetch(contents, ...faults) };
}

test('loads a bundle: progress, files, pipeline', async () => {
  const { worker, fetch, added } = setup();
  const events: Progress[] = [];
  const pipe = await load(base, { fetch, onProgress: (event) => events.push(event) }, () => worker.connect);
  expect(pipe).toMatchObject({ backend: 'webgpu', info: { name: 'fake', version: 'v1' } });
  expect(pipe.note).toBeUndefined();
  expect([...added.values()].reduce((a, b) => a + b)).toBe(600);
  expect(events[0]).toMatchObject({ phase: 'manifest', overall: 0 });
  expect(events.at(-1)).toMatchObject({ phase: 'compile', loadedBytes: 600, totalBytes: 600, overall: 1 });
  expect(worker.closed).toBe(false);
});

test('each option goes where it belongs', async () => {
  const { worker, fetch, log } = setup();
  const pipe = await load(base, { fetch, device: 'cpu', wasmUrl: 'https://cdn/wasm' }, () => worker.connect);
  expect(pipe.backend).toBe('cpu');
  expect(log).toEqual(['open cpu https://cdn/wasm/']);
});

test('what kernels may do reaches the worker', async () => {
  for (const [options, tuning] of [
    [{}, { precision: 'half', remember: true }],
    [
      { precision: 'int8', rememberKernels: false, tuningMs: 50 },
      { precision: 'int8', remember: false, budgetMs: 50 },
    ],
  ] as const) {
    const { worker, fetch } = setup();
    await load(base, { fetch, ...options }, () => worker.connect);
    expect(worker.sent.at(-1)).toMatchObject({ type: 'finish', tuning });
  }
});

test('without WebGPU the pipeline says so', async () => {
  const { worker, fetch } = setup({ adapter: () => Promise.reject(new DiffCRError('WEBGPU_UNAVAILABLE', 'WebGPU is not available')) });
  const pipe = await load(base, { fetch }, () => worker.connect);
  expect(pipe).toMatchObject({ backend: 'cpu', note: expect.stringMatching(/^WebGPU is not available/) });
});

const swiftshader = async () => ({ info: { vendor: 'google', architecture: 'swiftshader', device: '', description: '' } });

test('software takes a small model off WebGPU and says so; WebGPU asked for is WebGPU', async () => {
  const auto = setup({ adapter: swiftshader });
  const pipe = await load(base, { fetch: auto.fetch }, () => auto.worker.connect);
  expect(pipe).toMatchObject({ backend: 'cpu', note: expect.stringMatching(/^WebGPU computes on the CPU here \(swiftshader\)\./) });
  expect(auto.log).toEqual(['open cpu']);
  const asked = setup({ adapter: swiftshader });
  expect(await load(base, { fetch: asked.fetch, device: 'webgpu' }, () => asked.worker.connect)).toMatchObject({
    backend: 'webgpu',
    note: undefined,
  });
  expect(asked.log).toEqual(['open webgpu']);
});

test('a large model stays on WebGPU, software or not', async () => {
  const files = [{ ...manifest.files[0], bytes: 65 * 2 ** 20 }];
  // Opened by its size, then refused by its bytes.
  const { worker, fetch, log } = setup({ adapter: swiftshader }, (url) => {
    return url.endsWith('diffcr.json') ? new Response(JSON.stringify({ ...manifest, files })) : undefined;
  });
  await expect(load(base, { fetch }, () => worker.connect)).rejects.toMatchObject({ code: 'INTEGRITY' });
  expect(log).toEqual(['open webgpu']);
});

test('a GPU does not wait for the manifest, software does', async () => {
  for (const [adapter, early] of [
    [undefined, ['open webgpu']],
    [swiftshader, []],
  ] as const) {
    let answer: (response: Response) => void = () => {};
    const { worker, log } = setup(adapter === undefined ? {} : { adapter });
    const loading = load(
      base,
      {
        fetch: () =>
          new Promise((resolve) => {
            answer = resolve;
          }),
      },
      () => worker.connect,
    );
    await vi.waitFor(() => expect(worker.sent).toHaveLength(1 + early.length)); // the adapter is asked for, and perhaps the module
    await new Promise((resolve) => setTimeout(resolve, 20));
    await vi.waitFor(() => expect(log).toEqual(early));
    answer(new Response('{}'));
    await expect(loading).rejects.toMatchObject({ name: expect.stringMatching(/Error/) });
  }
});

test('on software a manifest that cannot be read is told as such', async () => {
  const { worker, fetch } = setup({ adapter: swiftshader }, () => new Response('{"files": 1}'));
  await expect(load(base, { fetch }, () => worker.connect)).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
  expect(worker.closed).toBe(true);
});

test.each([
  ['no manifest', {}, (url: string) => (url.endsWith('diffcr.json') ? new Response('', { status: 404 }) : undefined), 'NETWORK'],
  [
    'another version',
    {},
    (url: string) => (url.endsWith('diffcr.json') ? new Response(JSON.stringify({ ...manifest, formatVersion: 2 })) : undefined),
    'MANIFEST_VERSION',
  ],
  [
    'a damaged chunk',
    {},
    (url: string) => (url.endsWith('part-1.safetensors') ? new Response(new Uint8Array(200)) : undefined),
    'INTEGRITY',
  ],
  [
    'a refused file',
    {
      addFile: () => {
        throw wasmError('MODEL_INVALID', 'a tensor is missing');
      },
    },
    undefined,
    'MODEL_INVALID',
  ],
  ['no module', { open: () => Promise.reject(new DiffCRError('NETWORK', 'no wasm')) }, undefined, 'NETWORK'],
  [
    'a trap',
    {
      addFile: () => {
        throw new WebAssembly.RuntimeError('unreachable');
      },
    },
    undefined,
    'INTERNAL',
  ],
])('%s: a typed error, and the worker is gone', async (_, options, fault, code) => {
  const { worker, fetch } = setup(options, fault);
  await expect(load(base, { fetch }, () => worker.connect)).rejects.toMatchObject({ name: 'DiffCRError', code });
  expect(worker.closed).toBe(true);
});

test("what fails on WebGPU alone is left to the CPU with device 'auto', and is a typed error otherwise", async () => {
  let backend = '';
  const options: FakeOptions = {
    open: async (opened) => void (backend = opened),
    addFile: () => {
      if (backend === 'webgpu') throw new WebAssembly.RuntimeError('unreachable');
    },
  };
  const { worker, fetch, log } = setup(options);
  const overall: number[] = [];
  const pipe = await load(base, { fetch, onProgress: (progress) => overall.push(progress.overall) }, () => worker.connect);
  expect(pipe).toMatchObject({ backend: 'cpu', info: { name: 'fake' } });
  expect(pipe.note).toMatch(/^WebGPU failed while the model was loaded \(the wasm module stopped/);
  expect(log.filter((line) => line.startsWith('open'))).toEqual(['open webgpu', 'open cpu']);
  expect(overall).toEqual([...overall].sort((a, b) => a - b));
  const asked = setup(options);
  await expect(load(base, { fetch: asked.fetch, device: 'webgpu' }, () => asked.worker.connect)).rejects.toMatchObject({
    code: 'INTERNAL',
  });
  expect(asked.worker.closed).toBe(true);
});

test('a worker that dies while the weights come in', async () => {
  const { worker, fetch } = setup({}, (url) => {
    if (url.endsWith('part-1.safetensors')) worker.crash(new DiffCRError('INTERNAL', 'the worker stopped'));
    return undefined;
  });
  await expect(load(base, { fetch }, () => worker.connect)).rejects.toMatchObject({ code: 'INTERNAL', message: 'the worker stopped' });
});

test('an abort stops the fetches, the worker and the progress', async () => {
  const controller = new AbortController();
  const signals: (AbortSignal | null | undefined)[] = [];
  const { worker, fetch } = setup({}, (url) => {
    if (url.endsWith('part-0.safetensors')) controller.abort();
    return undefined;
  });
  const events: Progress[] = [];
  const loading = load(
    base,
    {
      signal: controller.signal,
      fetch: (url, init) => (signals.push(init.signal), fetch(url, init)),
      onProgress: (event) => events.push(event),
    },
    () => worker.connect,
  );
  await expect(loading).rejects.toMatchObject({ name: 'AbortError' });
  expect(worker.closed).toBe(true);
  expect(signals.length).toBeGreaterThan(1);
  expect(signals.slice(1).every((signal) => signal?.aborted)).toBe(true); // the manifest had come
  const { length } = events;
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(events).toHaveLength(length);
  await expect(load(base, { signal: controller.signal, fetch }, () => worker.connect)).rejects.toMatchObject({ name: 'AbortError' });
});

test.each([
  ['url', 'models/scenes', {}],
  ['concurrency', base, { concurrency: 0 }],
  ['concurrency', base, { concurrency: 1.5 }],
  ['tuningMs', base, { tuningMs: -1 }],
  ['tuningMs', base, { tuningMs: Number.NaN }],
  ['precision', base, { precision: 'double' as Precision }],
  ['wasmUrl', base, { wasmUrl: '//[' }],
  ['workerUrl', base, { workerUrl: 'no address' }],
])('a bad %s is INVALID_INPUT and starts nothing', async (field, url, options) => {
  await expect(loadModel(url, { workerUrl: 'https://host/worker.js', ...options })).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    details: { field },
  });
});
