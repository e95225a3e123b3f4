import { expect, test, vi } from 'vitest';
import { DiffCRError } from './errors.ts';
import type { Tuning } from './kernels.ts';
import type { DeviceChoice, FromWorker, RunRequest, ToWorker } from './protocol.ts';
import { Session } from './session.ts';
import { fakeBundle, fakeCaches, fakeWasm, wasmError, type FakeOptions } from './testing/fake.ts';

const { contents, entries, manifest } = await fakeBundle('https://host/m/', [40, 30]);

const TUNING: Tuning = { precision: 'half', remember: true };

/** A session with a model loaded, or as far as `open`. */
async function start(options: FakeOptions = {}, device: DeviceChoice = 'webgpu') {
  const wasm = fakeWasm(options);
  const sent: FromWorker[] = [];
  const session = new Session({ ...wasm.host, post: (message) => void sent.push(message) });
  let id = 0;
  /** Sends a message; its last answer. */
  const ask = async (make: (id: number) => ToWorker): Promise<FromWorker | undefined> => {
    await session.handle(make((id += 1)));
    return sent.at(-1);
  };
  const opened = await ask((id) => ({ id, type: 'open', device }));
  const fill = async (): Promise<void> => {
    await ask((id) => ({ id, type: 'manifest', json: JSON.stringify(manifest), textEncoder: 'auto' }));
    for (const { path } of entries) {
      const bytes = (contents.get(`https://host/m/${path}`) ?? new Uint8Array()).slice();
      await ask((id) => ({ id, type: 'file', path, bytes, hashed: true }));
    }
    await ask((id) => ({ id, type: 'finish', tuning: TUNING }));
  };
  const generate = (request: RunRequest, previewEvery = 0, returnLatents = false) =>
    ask((id) => ({ id, type: 'generate', request, previewEvery, returnLatents }));
  return { ...wasm, session, sent, ask, opened, fill, generate, lastId: () => id };
}

const noAdapter = async (): Promise<never> => {
  throw new DiffCRError('NO_ADAPTER', 'no WebGPU adapter');
};

test('auto takes WebGPU', async () => {
  expect((await start({}, 'auto')).opened).toMatchObject({ type: 'reply', reply: { type: 'opened', backend: 'webgpu' } });
});

test.each([
  [{ isFallbackAdapter: true }, { software: 'one' }],
  [{ architecture: 'swiftshader' }, { software: 'swiftshader' }],
  [{}, {}],
])('an adapter of %o is told as %o', async (info, told) => {
  const adapter = async () => ({ info: { vendor: 'acme', architecture: 'one', device: '', description: '', ...info } });
  const { ask, log } = await start({ adapter }, 'cpu');
  expect(await ask((id) => ({ id, type: 'adapter' }))).toMatchObject({ reply: { type: 'adapter', ...told } });
  expect(log).toEqual(['open cpu']);
});

test('the adapter that spares power is asked for, and the engine made on it', async () => {
  const asked: unknown[] = [];
  const adapter = async (powerPreference?: string) => {
    asked.push(powerPreference);
    return { info: { vendor: 'acme', architecture: 'one', device: '', description: '' } };
  };
  const open = async (_: unknown, powerPreference?: string) => void asked.push(powerPreference);
  const { ask } = await start({ adapter, open }, 'cpu');
  asked.length = 0;
  await ask((id) => ({ id, type: 'adapter', powerPreference: 'low-power' }));
  await ask((id) => ({ id, type: 'open', device: 'webgpu', powerPreference: 'low-power' }));
  expect(asked).toEqual(['low-power', 'low-power', 'low-power']);
});

test('no adapter is no software either: opening tells why there is none', async () => {
  const { ask } = await start({ adapter: noAdapter }, 'cpu');
  expect(await ask((id) => ({ id, type: 'adapter' }))).toMatchObject({ type: 'reply', reply: { type: 'adapter' } });
  expect(await ask((id) => ({ id, type: 'open', device: 'webgpu' }))).toMatchObject({ type: 'failed', error: { code: 'NO_ADAPTER' } });
});

test('auto falls back to the CPU and says why; the WebGPU module is not fetched', async () => {
  const { opened, log } = await start({ adapter: noAdapter }, 'auto');
  expect(opened).toMatchObject({ reply: { backend: 'cpu', note: expect.stringContaining('no WebGPU adapter') } });
  expect(log).toEqual(['open cpu']);
});

test("auto also falls back when the module's own device fails, and on nothing else", async () => {
  const failing = (error: unknown): FakeOptions => ({
    open: async (backend) => {
      if (backend === 'webgpu') throw error;
    },
  });
  expect((await start(failing(wasmError('NO_ADAPTER', 'no device')), 'auto')).opened).toMatchObject({ reply: { backend: 'cpu' } });
  expect((await start(failing(new DiffCRError('NETWORK', 'gone')), 'auto')).opened).toMatchObject({
    type: 'failed',
    error: { code: 'NETWORK' },
  });
});

test('webgpu asked for is webgpu or an error', async () => {
  expect((await start({ adapter: noAdapter }, 'webgpu')).opened).toMatchObject({
    type: 'failed',
    error: { code: 'NO_ADAPTER' },
    dead: false,
  });
});

test('cpu asked for never looks at WebGPU', async () => {
  const { opened, log } = await start({ adapter: noAdapter }, 'cpu');
  expect(opened).toMatchObject({ reply: { backend: 'cpu' } });
  expect(log).toEqual(['open cpu']);
});

test('files reach the loader and the model tells of itself', async () => {
  const { fill, sent, added } = await start();
  await fill();
  expect(added).toEqual(
    new Map([
      ['part-0.safetensors', 40],
      ['part-1.safetensors', 30],
    ]),
  );
  expect(sent.at(-1)).toMatchObject({ reply: { type: 'ready', info: { name: 'fake', width: 2 } } });
});

test('a file that the loader has read is let go of at once', async () => {
  const { ask } = await start();
  await ask((id) => ({ id, type: 'manifest', json: JSON.stringify(manifest), textEncoder: 'auto' }));
  const bytes = new Uint8Array(40);
  const transfer = vi.fn();
  Object.defineProperty(bytes.buffer, 'transfer', { value: transfer });
  await ask((id) => ({ id, type: 'file', path: 'part-0.safetensors', bytes, hashed: true }));
  expect(transfer).toHaveBeenCalledExactlyOnceWith(0);
});

test('a model tells which kernels it chose, where there was a choice', async () => {
  for (const kernels of [[], ['q8 4608x1152: shared']]) {
    const { fill, sent } = await start({ kernels });
    await fill();
    const { info } = (sent.at(-1) as { reply: { info: object } }).reply;
    expect('kernels' in info ? info.kernels : []).toEqual(kernels);
    expect('kernels' in info).toBe(kernels.length > 0);
  }
});

test('kernels that were timed are not timed again by the next session, unless it is told not to remember', async () => {
  const { caches, names } = fakeCaches();
  const times = async (tuning: Tuning): Promise<string[]> => {
    const { ask, log } = await start({ kernels: ['q8 4608x1152: shared'], caches });
    await ask((id) => ({ id, type: 'manifest', json: JSON.stringify(manifest), textEncoder: 'auto' }));
    expect(await ask((id) => ({ id, type: 'finish', tuning }))).toMatchObject({ reply: { info: { kernels: ['q8 4608x1152: shared'] } } });
    await vi.waitFor(() => expect(names()).toEqual(['diffcr-kernels-1.2.3']));
    return log.filter((line) => line.startsWith('time'));
  };
  expect(await times(TUNING)).toEqual(['time half']);
  expect(await times(TUNING)).toEqual([]);
  expect(await times({ ...TUNING, remember: false })).toEqual(['time half']);
});

test('a model is loaded where storage fails', async () => {
  const refuse = async (): Promise<never> => {
    throw new DOMException('not here', 'SecurityError');
  };
  const caches = { match: refuse, open: refuse, keys: refuse } as unknown as CacheStorage;
  const { fill, sent } = await start({ kernels: ['q8 4608x1152: shared'], caches });
  await fill();
  expect(sent.at(-1)).toMatchObject({ reply: { type: 'ready', info: { kernels: ['q8 4608x1152: shared'] } } });
});

test('the errors of the module keep their code', async () => {
  const { ask } = await start({
    addFile: () => {
      throw wasmError('INTEGRITY', 'part-0: altered', { file: 'part-0' });
    },
  });
  expect(await ask((id) => ({ id, type: 'manifest', json: '{"formatVersion": 99}', textEncoder: 'auto' }))).toMatchObject({
    error: { code: 'MANIFEST_VERSION', details: { found: 99 } },
  });
  await ask((id) => ({ id, type: 'manifest', json: JSON.stringify(manifest), textEncoder: 'auto' }));
  expect(await ask((id) => ({ id, type: 'file', path: 'part-0', bytes: new Uint8Array(), hashed: true }))).toMatchObject({
    error: { code: 'INTEGRITY', details: { file: 'part-0' } },
  });
});

test('a run reports every step, previews on time, and ends with the picture', async () => {
  const { fill, generate, sent, log } = await start();
  await fill();
  const before = sent.length;
  const done = await generate({ prompt: 'x', seed: 9, steps: 4 }, 2, true);
  const steps = sent.slice(before).flatMap((message) => (message.type === 'step' ? [message.step] : []));
  expect(steps.map(({ step, total, timestep }) => [step, total, timestep])).toEqual([
    [1, 4, 999],
    [2, 4, 998],
    [3, 4, 997],
    [4, 4, 996],
  ]);
  expect(steps.map(({ preview }) => preview !== undefined)).toEqual([false, true, false, true]);
  expect(steps.at(-1)?.etaMs).toBe(0);
  expect(done).toMatchObject({
    type: 'reply',
    reply: { type: 'done', settings: { seed: 9, steps: 4, width: 2, height: 2 }, latents: { shape: [1, 3, 2, 2] } },
  });
  if (done?.type !== 'reply' || done.reply.type !== 'done') throw new Error('no picture');
  expect([...done.reply.pixels]).toEqual(Array(16).fill(9));
  expect(done.reply.timings.stepMs).toHaveLength(4);
  expect(log.at(-1)).toBe('free run');
});

test('the routing comes where it is asked for', async () => {
  const { fill, generate } = await start();
  await fill();
  const routing = { grid: [2, 2], steps: [{ timestep: 999, layers: [[0, 3], null] }] };
  expect(await generate({ returnRouting: true })).toMatchObject({ reply: { routing } });
  expect(await generate({})).not.toHaveProperty('reply.routing');
});

test('latents stay home unless asked for', async () => {
  const { fill, generate } = await start();
  await fill();
  expect(await generate({})).not.toHaveProperty('reply.latents');
});

test('an abort between two steps frees the run and leaves the model usable', async () => {
  const { fill, generate, session, log, lastId } = await start({
    step: async (step) => {
      if (step === 2) await session.handle({ id: lastId(), type: 'abort' });
    },
  });
  await fill();
  expect(await generate({ steps: 50 })).toMatchObject({ type: 'failed', error: { kind: 'abort' }, dead: false });
  expect(log.filter((line) => line.startsWith('step'))).toEqual(['step 1', 'step 2']);
  expect(log.at(-1)).toBe('free run');
  expect(await generate({ steps: 1 })).toMatchObject({ type: 'reply' });
});

test('a message is heard even while steps follow each other without a pause', async () => {
  const { fill, generate, session, lastId } = await start();
  await fill();
  const running = generate({ steps: 100_000 });
  setTimeout(() => void session.handle({ id: lastId(), type: 'abort' }), 0);
  expect(await running).toMatchObject({ error: { kind: 'abort' } });
});

test('a trap and a lost device are the end of the module, a refused option is not', async () => {
  const faults: unknown[] = [
    wasmError('INVALID_INPUT', 'steps: 0', { field: 'steps' }),
    wasmError('DEVICE_LOST', 'lost'),
    new WebAssembly.RuntimeError('unreachable'),
  ];
  const { fill, generate } = await start({
    generate: () => {
      throw faults.shift();
    },
  });
  await fill();
  expect(await generate({})).toMatchObject({ error: { code: 'INVALID_INPUT', details: { field: 'steps' } }, dead: false });
  expect(await generate({})).toMatchObject({ error: { code: 'DEVICE_LOST' }, dead: true });
  expect(await generate({})).toMatchObject({ error: { code: 'INTERNAL', message: /unreachable/ }, dead: true });
});

test('messages out of turn are refused', async () => {
  const { generate, ask } = await start();
  expect(await generate({})).toMatchObject({ error: { code: 'INTERNAL' } });
  expect(await ask((id) => ({ id, type: 'finish', tuning: TUNING }))).toMatchObject({ error: { code: 'INTERNAL' } });
});
