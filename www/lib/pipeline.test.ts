import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { load } from './client.ts';
import type { InpaintOptions, RunEvent } from './pipeline.ts';
import type { Step } from './protocol.ts';
import { fakeBundle, fakeFetch, FakeImageData, fakeWasm, fakeWorker, wasmError, type FakeOptions } from './testing/fake.ts';

beforeEach(() => void vi.stubGlobal('ImageData', FakeImageData));
afterEach(() => vi.unstubAllGlobals());

const { contents } = await fakeBundle('https://host/m/', [10]);

async function setup(options: FakeOptions = {}) {
  const wasm = fakeWasm(options);
  const worker = fakeWorker(wasm);
  return { ...wasm, worker, pipe: await load('https://host/m/', { fetch: fakeFetch(contents).fetch }, () => worker.connect) };
}

const tick = (ms = 3): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('a run gives the picture and all it takes to repeat it', async () => {
  const { pipe } = await setup();
  const out = await pipe.generate({ prompt: 'a red star', seed: 7, steps: 5, guidance: 3, returnLatents: true });
  expect(out.image).toMatchObject({ width: 2, height: 2 });
  expect([...out.image.data]).toEqual(Array(16).fill(7));
  expect(out.params).toEqual({
    prompt: 'a red star',
    negativePrompt: '',
    seed: 7,
    steps: 5,
    guidance: 3,
    width: 2,
    height: 2,
    solver: 'dpm++',
    compression: 'learned',
  });
  expect(out).toMatchObject({ seed: 7, modelVersion: 'v1', latents: { shape: [1, 3, 2, 2] } });
  expect(out.timings.stepMs).toHaveLength(5);
});

test('only what was asked for reaches the model, and a seed of chance', async () => {
  const { pipe, worker } = await setup();
  await pipe.generate({ prompt: 'x', steps: 1, onStep: () => {} });
  expect(worker.sent.at(-1)).toEqual({
    id: expect.any(Number),
    type: 'generate',
    request: { prompt: 'x', steps: 1, seed: expect.any(Number) },
    previewEvery: 0,
    returnLatents: false,
  });
});

test('a second call waits for the first, also when that one fails', async () => {
  let runs = 0;
  const { pipe, log } = await setup({
    generate: () => {
      if ((runs += 1) === 1) throw wasmError('INVALID_INPUT', 'steps: 0', { field: 'steps' });
    },
  });
  const first = pipe.generate({ prompt: 'one' });
  const [second, third] = [pipe.generate({ prompt: 'two' }), pipe.generate({ prompt: 'three' })];
  await expect(first).rejects.toMatchObject({ code: 'INVALID_INPUT', details: { field: 'steps' } });
  await Promise.all([second, third]);
  const run = ['step 1', 'step 2', 'step 3', 'free run'];
  expect(log).toEqual(['open webgpu', 'generate two', ...run, 'generate three', ...run]);
});

test('an abort rejects at once and leaves the pipeline usable', async () => {
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const { pipe, log } = await setup({ step: (step) => (step === 2 ? gate : Promise.resolve()) });
  const controller = new AbortController();
  const steps: Step[] = [];
  const running = pipe.generate({ prompt: 'one', steps: 9, signal: controller.signal, onStep: (step) => steps.push(step) });
  await vi.waitFor(() => expect(steps).toHaveLength(1));
  controller.abort();
  await expect(running).rejects.toMatchObject({ name: 'AbortError' });
  const next = pipe.generate({ prompt: 'two', steps: 1 });
  open();
  await next;
  expect(steps).toHaveLength(1);
  expect(log).toEqual(['open webgpu', 'generate one', 'step 1', 'step 2', 'free run', 'generate two', 'step 1', 'free run']);
});

test('a queued call that is aborted never starts', async () => {
  const { pipe, log } = await setup();
  const controller = new AbortController();
  const first = pipe.generate({ prompt: 'one' });
  const second = pipe.generate({ prompt: 'two', signal: controller.signal });
  controller.abort();
  await expect(second).rejects.toMatchObject({ name: 'AbortError' });
  await first;
  await pipe.generate({ prompt: 'three' });
  expect(log).not.toContain('generate two');
});

test('an image and a mask reach the model, and the picture has the size of the image', async () => {
  const { pipe, log, worker } = await setup();
  const image = new ImageData(new Uint8ClampedArray(3 * 4).fill(50), 3, 1);
  const mask = new ImageData(new Uint8ClampedArray(3 * 4).fill(255), 3, 1);
  const out = await pipe.inpaint({ prompt: 'a star', image, mask, seed: 9, steps: 2, strength: 0.5 });
  expect([out.image.width, out.image.height, ...out.image.data]).toEqual([3, 1, 9, ...Array(11).fill(50)]);
  expect(out.params).toMatchObject({ prompt: 'a star', seed: 9, inpaint: { strength: 0.5 } });
  expect(log).toContain('edit image mask strength');
  expect(worker.sent.at(-1)).toMatchObject({ type: 'generate', previewEvery: 0, request: { prompt: 'a star', seed: 9, steps: 2 } });
  expect(image.data).toHaveLength(12); // still the caller's
});

test('an image without a mask is refused by name, and the queue goes on', async () => {
  const { pipe } = await setup();
  const image = new ImageData(new Uint8ClampedArray(4), 1, 1);
  const options = { image } as unknown as InpaintOptions;
  await expect(pipe.inpaint(options)).rejects.toMatchObject({ code: 'INVALID_INPUT', details: { field: 'mask' } });
  await pipe.generate({ steps: 1 });
});

test('stream yields every step, then the result', async () => {
  const { pipe } = await setup();
  const events: RunEvent[] = [];
  for await (const event of pipe.stream({ prompt: 'x', steps: 3, previewEvery: 1 })) events.push(event);
  expect(events.map(({ type }) => type)).toEqual(['step', 'step', 'step', 'done']);
  expect(events.every((event) => event.type === 'done' || event.preview !== undefined)).toBe(true);
});

test('a stream with an image inpaints it', async () => {
  const { pipe, log } = await setup();
  const picture = new ImageData(new Uint8ClampedArray(4).fill(255), 1, 1);
  const events: RunEvent[] = [];
  for await (const event of pipe.stream({ image: picture, mask: picture, steps: 2, strength: 0.5 })) events.push(event);
  expect(events.map(({ type }) => type)).toEqual(['step', 'step', 'done']);
  expect(log).toContain('edit image mask strength');
});

test('leaving the loop of a stream stops the run', async () => {
  const { pipe, log } = await setup();
  for await (const event of pipe.stream({ steps: 1000 })) if (event.type === 'step' && event.step === 2) break;
  await pipe.generate({ prompt: 'after', steps: 1 });
  expect(log.filter((line) => line.startsWith('step')).length).toBeLessThan(50);
});

test('a stream throws what the run throws', async () => {
  const { pipe } = await setup({
    generate: () => {
      throw wasmError('INVALID_INPUT', 'width: 7', { field: 'width' });
    },
  });
  const first = pipe.stream({ width: 7 }).next();
  await expect(first).rejects.toMatchObject({ code: 'INVALID_INPUT' });
});

test('after dispose everything is DISPOSED, and the worker is gone', async () => {
  const { pipe, worker } = await setup({ step: () => tick(50) });
  const running = pipe.generate({ steps: 9 });
  await tick();
  await pipe.dispose();
  await expect(running).rejects.toMatchObject({ code: 'DISPOSED' });
  await expect(pipe.generate()).rejects.toMatchObject({ code: 'DISPOSED' });
  expect(worker.closed).toBe(true);
  await pipe[Symbol.asyncDispose]();
});

test('a trap rejects the run with INTERNAL, and the next call has a new worker', async () => {
  let traps = 1;
  const { pipe, log } = await setup({
    finish: () => {
      if (traps-- > 0) throw new WebAssembly.RuntimeError('unreachable');
    },
  });
  const [first, second] = [pipe.generate({ prompt: 'one' }), pipe.generate({ prompt: 'two', seed: 7 })];
  await expect(first).rejects.toMatchObject({ code: 'INTERNAL' });
  expect(await pipe.lost).toMatchObject({ code: 'INTERNAL' });
  expect((await second).seed).toBe(7);
  expect(log.filter((line) => line.startsWith('open'))).toEqual(['open webgpu', 'open webgpu']);
  await pipe.dispose();
  await expect(pipe.generate()).rejects.toMatchObject({ code: 'DISPOSED' });
});

test.each([
  ['OUT_OF_MEMORY', { needed: 5e9, available: 4e9 }],
  ['LIMIT_TOO_SMALL', { limit: 'maxStorageBufferBindingSize', needed: 2, available: 1 }],
  ['NOT_FINITE', { what: 'latents', step: 1, total: 3 }],
])('a run refused as %s leaves the worker as it is', async (code, details) => {
  let full = true;
  const { pipe, log } = await setup({
    generate: () => {
      if (full) throw wasmError(code, 'it does not fit', details);
    },
  });
  await expect(pipe.generate({ width: 4096 })).rejects.toMatchObject({ code, details });
  full = false;
  await pipe.generate();
  expect(log.filter((line) => line.startsWith('open'))).toHaveLength(1);
});

test('options are those of the moment of the call', async () => {
  const { pipe } = await setup();
  const options = { seed: 0, latents: { shape: [1, 3, 2, 2], data: new Float32Array(12) } };
  const runs = [1, 2, 3].map((seed) => ((options.seed = seed), pipe.generate(options)));
  options.latents.data.fill(Number.NaN);
  expect((await Promise.all(runs)).map(({ seed }) => seed)).toEqual([1, 2, 3]);
});

test('a busy pipeline waits, gives way or refuses', async () => {
  const { pipe, log } = await setup({ step: () => tick(5) });
  const first = pipe.generate({ prompt: 'first', steps: 50 });
  await tick(10);
  await expect(pipe.generate({ busy: 'reject' })).rejects.toMatchObject({ code: 'BUSY', details: { busy: 'reject' } });
  const second = pipe.generate({ prompt: 'second', steps: 1, busy: 'replace' });
  await expect(first).rejects.toMatchObject({ code: 'BUSY', details: { busy: 'replace' } });
  await second;
  expect(log.at(-3)).toBe('generate second');
  await pipe.generate({ prompt: 'idle', steps: 1, busy: 'reject' });
});

test('a count of pictures is one call, each with the next seed', async () => {
  const { pipe } = await setup();
  const many = await pipe.generate({ seed: 5, count: 3, steps: 1 });
  expect(many.map(({ seed }) => seed)).toEqual([5, 6, 7]);
  expect(await pipe.generate({ count: 1, steps: 1 })).toHaveLength(1);
});

test('an image is drawn over without a mask', async () => {
  const { pipe, worker } = await setup();
  const image = new ImageData(new Uint8ClampedArray(8), 2, 1);
  await pipe.edit({ image, prompt: 'x', steps: 1 });
  const edit = { strength: 0.6, maskAware: false, mask: { width: 2, height: 1, data: new Uint8ClampedArray(8).fill(255) } };
  expect(worker.sent.at(-1)).toMatchObject({ type: 'generate', edit });
  await pipe.edit({ image, strength: 0.3, steps: 1 });
  expect(worker.sent.at(-1)).toMatchObject({ edit: { strength: 0.3 } });
});

test('a run tells its phases, its cost and what it left out', async () => {
  const warnings = [{ code: 'PROMPT_TRUNCATED', field: 'prompt', message: 'too long', lost: 3, limit: 20 }] as const;
  const { pipe } = await setup({ warnings });
  const [phases, steps]: [string[], Step[]] = [[], []];
  const out = await pipe.generate({ steps: 2, onPhase: (phase) => phases.push(phase), onStep: (step) => steps.push(step) });
  expect(phases).toEqual(['encode', 'denoise', 'decode']);
  expect(steps.map(({ routing }) => routing)).toEqual([{ keep: [1, 0.5] }, { keep: [1, 0.5] }]);
  expect(out).toMatchObject({ flops: { total: 20, dense: 40 }, warnings });
});

test('a signal keeps its reason', async () => {
  const { pipe } = await setup({ step: () => tick(5) });
  const reason = { why: 'the user left' };
  const controller = new AbortController();
  const running = pipe.generate({ steps: 50, signal: controller.signal });
  await tick(10);
  controller.abort(reason);
  await expect(running).rejects.toBe(reason);
});

test.each([-1, 0.5, Number.NaN])('previewEvery %d is refused', async (previewEvery) => {
  const { pipe } = await setup();
  await expect(pipe.generate({ previewEvery })).rejects.toMatchObject({ code: 'INVALID_INPUT', details: { field: 'previewEvery' } });
});
