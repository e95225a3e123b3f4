import type { Page } from 'playwright-core';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DeviceChoice, Pipeline, Progress } from '../../www/lib/index.ts';
import { openPage, root, useSite, type Watched } from './harness.ts';
import { readSafetensors, relativeError, row, tensor } from './safetensors.ts';

declare global {
  /** Set by pages/api.js. */
  var diffcr: typeof import('../../www/lib/index.ts');
  /** Set by {@link openPipe}. */
  var pipe: Pipeline;
}

const site = useSite();

async function openApi(): Promise<Watched> {
  const watched = await openPage(site.browser);
  await watched.page.goto(`${site.url}test/api.html`);
  await watched.page.waitForSelector('body[data-api=ready]', { state: 'attached' });
  return watched;
}

const expected: { prompts: string[]; negative_prompt: string; steps: number; guidance: number } = JSON.parse(
  readFileSync(`${root}tests/fixtures/scenes/expected.json`, 'utf8'),
);
const tensors = readSafetensors(`${root}tests/fixtures/scenes/expected.safetensors`);
/** Of the largest value, against what diffusers draws. */
const TOLERANCE = 5e-3;

/** Draws a prompt of the fixture from its noise, on the pipeline that the page holds; how far it is from the fixture's picture. */
async function errorOf(page: Page, index: number): Promise<number> {
  const { shape, data } = row(tensor(tensors, 'init_latents'), index);
  const { prompts, negative_prompt: negativePrompt, steps, guidance } = expected;
  const values = await page.evaluate(
    async ({ data, shape, ...options }) => {
      const latents = { shape, data: Float32Array.from(data) };
      const out = await pipe.generate({ ...options, latents, returnLatents: true });
      return [...(out.latents?.data ?? [])];
    },
    { prompt: prompts[index] ?? '', negativePrompt, steps, guidance, shape, data: [...data] },
  );
  const error = relativeError(values, row(tensor(tensors, 'image'), index).data);
  console.log(`${prompts[index]}: ${error.toExponential(1)} of the largest value`);
  return error;
}

/** A page that holds the fixture's model as `pipe`. */
async function openPipe(device: DeviceChoice): Promise<Watched> {
  const watched = await openApi();
  const backend = await watched.page.evaluate(async (device) => {
    globalThis.pipe = await diffcr.loadModel('/fixtures/scenes/', { device });
    return pipe.backend;
  }, device);
  expect(backend).toBe(device);
  return watched;
}

describe('over WebGPU, from the noise of diffusers, its pictures come out', () => {
  let watched: Watched;
  beforeAll(async () => {
    watched = await openPipe('webgpu');
  });
  afterAll(async () => await watched?.close());

  test.each(expected.prompts.map((prompt, i) => [i, prompt] as const))('%i: %s', async (index) => {
    expect(await errorOf(watched.page, index)).toBeLessThanOrEqual(TOLERANCE);
    expect(watched.complaints).toEqual([]);
  });
});

test('the CPU build draws the same', async () => {
  const { page, close } = await openPipe('cpu');
  for (const index of [0, 5]) expect(await errorOf(page, index)).toBeLessThanOrEqual(TOLERANCE);
  await close();
});

test('progress grows from 0 to 1 over constant totals', async () => {
  const { page, close } = await openApi();
  const events = await page.evaluate(async () => {
    const seen: Progress[] = [];
    const pipe = await diffcr.loadModel('/models/scenes/', { device: 'cpu', onProgress: (progress) => seen.push(progress) });
    await pipe.dispose();
    return seen;
  });
  const overall = events.map((event) => event.overall);
  expect(overall).toEqual([...overall].sort((a, b) => a - b));
  expect([overall.at(0), overall.at(-1)]).toEqual([0, 1]);
  const totals = new Set(events.filter((event) => event.phase !== 'manifest').map((event) => event.totalBytes));
  expect(totals.size).toBe(1);
  expect(events.at(-1)?.loadedBytes).toBe([...totals][0]);
  await close();
});

test('a stream, an abort, a refused option, a queue, the end', async () => {
  const { page, close } = await openApi();
  const story = await page.evaluate(async () => {
    const told = (error: unknown): string =>
      error instanceof diffcr.DiffCRError ? `${error.name} ${error.code} ${JSON.stringify(error.details['field'] ?? null)}` : error instanceof Error ? error.name : String(error);
    const caught = (work: Promise<unknown>): Promise<string> => work.then(() => 'done', told);
    const pipe = await diffcr.loadModel('/models/scenes/', { device: 'cpu' });
    const prompt = 'a red circle on a white background';

    const streamed: string[] = [];
    for await (const event of pipe.stream({ prompt, steps: 3, seed: 1, previewEvery: 3 })) {
      streamed.push(event.type === 'done' ? `done ${event.output.image.width}` : `step ${event.step} ${event.preview?.width ?? '-'}`);
    }
    const controller = new AbortController();
    const aborted = caught(pipe.generate({ prompt, steps: 50, signal: controller.signal, onStep: ({ step }) => step === 2 && controller.abort() }));
    const queued = pipe.generate({ prompt, steps: 2, seed: 5 });
    const abort = await aborted;
    const again = await pipe.generate({ prompt, steps: 2, seed: 5 });
    const same = (await queued).image.data.every((byte, i) => byte === again.image.data[i]);
    const refused = [
      await caught(pipe.generate({ prompt, steps: 0 })),
      await caught(pipe.generate({ prompt, width: 63 })),
      // @ts-expect-error: it is none of the solvers
      await caught(pipe.generate({ prompt, solver: 'magic' })),
      await caught(pipe.generate({ prompt, latents: { shape: [1, 4, 64, 64], data: new Float32Array(4 * 64 * 64) } })),
    ];
    const usable = await caught(pipe.generate({ prompt, steps: 1 }));
    await pipe.dispose();
    return { streamed, abort, same, refused, usable, disposed: await caught(pipe.generate({ prompt })) };
  });
  expect(story).toEqual({
    streamed: ['step 1 -', 'step 2 -', 'step 3 128', 'done 128'],
    abort: 'AbortError',
    same: true,
    refused: [expect.stringMatching(/INVALID_INPUT "steps"/), expect.stringMatching(/INVALID_INPUT "width"/), expect.stringMatching(/INVALID_INPUT "solver"/), expect.stringMatching(/INVALID_INPUT "latents/)],
    usable: 'done',
    disposed: 'DiffCRError DISPOSED null',
  });
  await close();
});

test('support is told before anything is fetched', async () => {
  const { page, close } = await openApi();
  const support = await page.evaluate(() => diffcr.checkSupport('/models/scenes/'));
  const manifest: { files: { bytes: number }[] } = JSON.parse(readFileSync(`${root}www/dist/models/scenes/diffcr.json`, 'utf8'));
  // SwiftShader is software, and the model small.
  expect(support).toMatchObject({ ok: true, backend: 'cpu', webgpu: true, isFallbackAdapter: true, needs: { downloadBytes: manifest.files.reduce((sum, file) => sum + file.bytes, 0) } });
  await close();
});

test('a second load fetches the manifest alone, one without a network opens what is kept, and it can be forgotten', async () => {
  const { page, close } = await openApi();
  const asked: string[] = [];
  page.on('request', (request) => void (/fixtures\/scenes\/(.*)/.exec(request.url())?.[1] !== undefined && asked.push(request.url().split('/').at(-1) ?? '')));
  const open = (): Promise<string> =>
    page.evaluate(async () => {
      let cached = 0;
      const pipe = await diffcr.loadModel('/fixtures/scenes/', { device: 'cpu', onProgress: ({ cachedBytes }) => void (cached = cachedBytes) });
      const { image } = await pipe.generate({ prompt: 'a red circle on a blue background', seed: 1, steps: 1 });
      await pipe.dispose();
      return `${cached} ${image.data.join()}`;
    });
  const first = await open();
  expect(asked.length).toBeGreaterThan(2);
  asked.length = 0;
  const second = await open();
  expect(asked).toEqual(['diffcr.json']);
  const [cached, picture] = [Number(second.split(' ')[0]), second.split(' ')[1]];
  expect(first).toBe(`0 ${picture}`);
  const [kept] = await page.evaluate(() => diffcr.models.list());
  expect(kept).toMatchObject({ url: `${site.url}fixtures/scenes/diffcr.json`, bytes: cached, complete: true });
  await page.route('**/fixtures/scenes/**', (route) => route.abort('internetdisconnected'));
  expect(await open()).toBe(second);
  expect(await page.evaluate(async () => [await diffcr.models.remove('/fixtures/scenes/'), await diffcr.models.list()])).toEqual([true, []]);
  await close(/ERR_INTERNET_DISCONNECTED/);
});

test('the watch over the page sees what the GPU complains about, also from a worker', async () => {
  const { page, complaints, close } = await openApi();
  await page.evaluate(() => new Promise((resolve) => {
    new Worker('/test/canary.js', { type: 'module' }).addEventListener('message', resolve);
  }));
  await expect.poll(() => complaints.join('\n')).toMatch(/GPUValidationError/);
  await expect.poll(() => complaints.join('\n')).toMatch(/the canary sings/);
  await close(/./);
});
