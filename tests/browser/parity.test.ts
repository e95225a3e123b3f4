/** Every part of a model over WebGPU against what diffusers and transformers computed from the same weights. */

import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { RoutingRecord } from '../../www/lib/index.ts';
import { openPage, root, SCENES, useSite, type Watched } from './harness.ts';
import { diffcr } from './reference.ts';
import { readSafetensors, relativeError, row, tensor, type Tensor } from './safetensors.ts';

/** Of the reference's largest value. */
const TOLERANCE = 5e-3;

const fixture = (path: string): string => `${root}tests/fixtures/${path}`;
const read = (path: string): Map<string, Tensor> => readSafetensors(fixture(path));

const bundles = mkdtempSync(join(tmpdir(), 'diffcr-parity-'));
beforeAll(() => {
  const tiny = ['--vae-tiny', fixture('sigma/vae_tiny')];
  diffcr('convert', fixture('sigma/pipeline'), '--out', join(bundles, 'sigma'), ...tiny);
  diffcr('convert', fixture('alpha/pipeline'), '--out', join(bundles, 'alpha'));
  diffcr('convert', fixture('sigma/pipeline'), '--out', join(bundles, 'routed'), '--routers', fixture('sigma/routed.safetensors'));
  const told = ['--heads', '3', '--sample-size', '16', '--interpolation-scale', '1'];
  diffcr('convert', fixture('sigma/kv_compression.pth'), '--out', join(bundles, 'compressed'), ...told);
});
const site = useSite({ '/bundles/': bundles });

/** What pages/engine.js sets: the wasm module's own model, as the package's worker drives it. */
type Values = Record<string, { shape: number[]; data: ArrayLike<number> }>;
interface Model {
  probe(part: string, inputs: Values, options: object): Promise<Values>;
  generate(options: object): Promise<{ step(): Promise<unknown>; finish(): Promise<{ latents: { data: Float32Array }; routing?: RoutingRecord }> }>;
  generate(options: object, edit: object): Promise<{ step(): Promise<unknown>; finish(): Promise<Record<'latents' | 'decoded' | 'composite', { data: Float32Array }>> }>;
}
declare global {
  var model: Model;
}

/** A page that holds the bundle as `model`. */
async function openModel(bundle: string): Promise<Watched> {
  const watched = await openPage(site.browser);
  await watched.page.goto(`${site.url}test/engine.html?bundle=${bundle}`);
  await watched.page.waitForSelector('body[data-api=ready]', { state: 'attached' });
  return watched;
}

/** Runs a part on a fixture's tensors: what it gave. */
async function probe({ page }: Watched, part: string, inputs: Map<string, Tensor>, options: object = {}): Promise<Map<string, number[]>> {
  const plain = Object.fromEntries([...inputs].map(([name, { shape, data }]) => [name, { shape, data: [...data] }]));
  const outputs = await page.evaluate(
    async ({ part, plain, options }) =>
      Object.entries(await model.probe(part, plain, options)).map(([name, { data }]): [string, number[]] => [name, Array.from(data)]),
    { part, plain, options },
  );
  return new Map(outputs);
}

function close(name: string, found: ArrayLike<number> | undefined, expected: Tensor): void {
  const error = relativeError(found ?? [], expected.data);
  console.log(`${name}: ${error.toExponential(1)}`);
  expect(error, name).toBeLessThanOrEqual(TOLERANCE);
}

for (const [family, choose] of [['sigma', ''], ['alpha', ''], ['sigma', '&choose=gpu']] as const) {
  test(`${family}${choose && ', by the kernels that GPUs have'}: the transformer, square and oblong, and the whole pipeline`, async () => {
    const opened = await openModel(`${family}${choose}`);
    const inputs = read(`${family}/transformer.safetensors`);
    const outputs = await probe(opened, 'transformer', inputs);
    for (const i of [0, 1, 2]) close(`${family} transformer ${i}`, outputs.get(`${i}.output`), tensor(inputs, `${i}.output`));

    const reference = read(`${family}/generate.safetensors`);
    const prompts: string[] = JSON.parse(readFileSync(fixture(`${family}/prompts.json`), 'utf8'));
    for (const i of [0, 1]) {
      const { shape, data } = row(tensor(reference, 'init_latents'), i);
      const options = { prompt: prompts[i] ?? '', negativePrompt: 'low quality', steps: 6, guidance: 4.5, latents: { shape, data: [...data] } };
      const found = await opened.page.evaluate(async (options) => {
        const run = await model.generate(options);
        while ((await run.step()) !== undefined);
        return [...(await run.finish()).latents.data];
      }, options);
      close(`${family} pipeline ${i}`, found, row(tensor(reference, 'final_latents'), i));
    }
    await opened.close();
  });
}

test('normed queries and keys, and compressed ones, of square and oblong grids', async () => {
  const opened = await openModel('compressed');
  const inputs = read('sigma/kv_compression.safetensors');
  const outputs = await probe(opened, 'transformer', inputs);
  for (const i of [0, 1, 2]) close(`compressed transformer ${i}`, outputs.get(`${i}.output`), tensor(inputs, `${i}.output`));
  await opened.close();
});

test('inpainting: latents, what the decoder draws, and the image with it in place', async () => {
  const opened = await openModel('sigma');
  const reference = read('sigma/inpaint.safetensors');
  const about = JSON.parse(readFileSync(fixture('sigma/inpaint.json'), 'utf8'));
  const plain = (name: string): { shape: number[]; data: number[] } => {
    const { shape, data } = tensor(reference, name);
    return { shape, data: [...data] };
  };
  const options = {
    prompt: about.prompt, negativePrompt: about.negative_prompt, steps: about.steps, guidance: about.guidance, latents: plain('noise'),
  };
  const edit = { image: plain('image'), mask: plain('mask'), strength: about.strength };
  const found = await opened.page.evaluate(async ({ options, edit }) => {
    const run = await model.generate(options, edit);
    while ((await run.step()) !== undefined);
    const { latents, decoded, composite } = await run.finish();
    return { final_latents: [...latents.data], decoded: [...decoded.data], composite: [...composite.data] };
  }, { options, edit });
  for (const name of ['final_latents', 'decoded', 'composite'] as const) close(`inpaint ${name}`, found[name], tensor(reference, name));
  await opened.close();
});

for (const bundle of ['sigma', 'routed']) {
  test(`${bundle}: steps that follow the hole are those of the native engine`, async () => {
    const opened = await openModel(bundle);
    const [file, latents] = [fixture('sigma/inpaint.safetensors'), join(bundles, 'followed.safetensors')];
    const prompt = 'a large red circle on a blue background';
    const flags = { prompt, steps: 8, guidance: 3, image: file, mask: file, noise: file, 'save-latents': latents, out: join(bundles, 'followed.png') };
    diffcr('inpaint', join(bundles, bundle), ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]));
    const reference = readSafetensors(file);
    const plain = (name: string): { shape: number[]; data: number[] } => {
      const { shape, data } = tensor(reference, name);
      return { shape, data: [...data] };
    };
    const options = { prompt, steps: 8, guidance: 3, latents: plain('noise') };
    const edit = { image: plain('image'), mask: plain('mask') };
    const found = await opened.page.evaluate(async ({ options, edit }) => {
      const run = await model.generate(options, edit);
      while ((await run.step()) !== undefined);
      return [...(await run.finish()).latents.data];
    }, { options, edit });
    close(`${bundle} followed`, found, tensor(readSafetensors(latents), 'final_latents'));
    await opened.close();
  });
}

test('the text encoder and both autoencoders', async () => {
  const opened = await openModel('sigma');
  const text = read('sigma/text_encoder.safetensors');
  const states = (await probe(opened, 'text-encoder', text)).get('states') ?? [];
  const mask = tensor(text, 'attention_mask').data;
  const width = tensor(text, 'states').shape[2] ?? 0;
  const real = (values: ArrayLike<number>): Float32Array<ArrayBuffer> => Float32Array.from(Array.from(values).filter((_, i) => mask[Math.floor(i / width)] === 1));
  close('text encoder', real(states), { shape: [], data: real(tensor(text, 'states').data) });

  for (const [file, latents, tiny] of [['vae', 'latent_mean', false], ['vae_tiny', 'encoded', true]] as const) {
    const data = read(`sigma/${file}.safetensors`);
    close(`${file} encode`, (await probe(opened, 'vae-encode', data, { tiny })).get('latents'), tensor(data, latents));
    close(`${file} decode`, (await probe(opened, 'vae-decode', data, { tiny })).get('image'), tensor(data, 'decoded'));
  }
  await opened.close();
});

test('routed layers choose the same tokens', async () => {
  const opened = await openModel('routed');
  const data = read('sigma/routed.safetensors');
  for (const [name, options] of [['learned', {}], ['dense', { compression: 'off' }]] as const) {
    const outputs = await probe(opened, 'transformer', data, options);
    for (const layer of [0, 1, 2, 3]) {
      expect(outputs.get(`index.${layer}`), `${name}, layer ${layer}`).toEqual([...tensor(data, `${name}.index.${layer}`).data]);
    }
    close(`routed ${name}`, outputs.get('output'), tensor(data, `${name}.output`));
  }
  await opened.close();
});

test('the record of a routed run is that of the native engine', async () => {
  const file = join(bundles, 'routing.json');
  const request = { prompt: 'a large red star on a blue background', seed: 7, steps: 3, guidance: 3 };
  const options = Object.entries({ ...request, 'save-routing': file, out: join(bundles, 'routing.png') });
  diffcr('generate', join(bundles, 'routed'), ...options.flatMap(([name, value]) => [`--${name}`, String(value)]));
  const opened = await openModel('routed');
  const record = await opened.page.evaluate(async (options) => {
    const run = await model.generate(options);
    while ((await run.step()) !== undefined);
    return (await run.finish()).routing;
  }, { ...request, returnRouting: true });
  const native: RoutingRecord = JSON.parse(readFileSync(file, 'utf8'));
  const counts = ({ steps }: RoutingRecord): unknown => steps.map(({ timestep, layers }) => [timestep, layers.map((kept) => kept?.length)]);
  if (record === undefined) throw new Error('no record');
  expect([record.grid, counts(record)]).toEqual([native.grid, counts(native)]);
  // Later a token may win that lost by less than the rounding of the steps before.
  expect(record.steps[0]).toEqual(native.steps[0]);
  await opened.close();
});

for (const encoding of ['f16', 'q8', 'q4']) {
  test(`${encoding}: matrices stay packed on the GPU, and the picture is the CPU's from the same bundle`, async () => {
    const bundle = join(bundles, encoding);
    const file = join(bundles, `${encoding}.safetensors`);
    const request = { prompt: 'a large red star on a blue background', seed: 7, steps: 2, guidance: 3 };
    diffcr('convert', SCENES, '--encoding', encoding, '--out', bundle);
    const options = Object.entries({ ...request, 'save-latents': file, out: join(bundles, `${encoding}.png`) });
    diffcr('generate', bundle, ...options.flatMap(([name, value]) => [`--${name}`, String(value)]));
    const opened = await openModel(encoding);
    const found = await opened.page.evaluate(async (options) => {
      const run = await model.generate(options);
      while ((await run.step()) !== undefined);
      return [...(await run.finish()).latents.data];
    }, request);
    close(encoding, found, tensor(readSafetensors(file), 'final_latents'));
    await opened.close();
  });
}
