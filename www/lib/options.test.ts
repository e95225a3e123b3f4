import { expect, test } from 'vitest';
import { readLoadOptions } from './load_options.ts';
import { readRunOptions } from './options.ts';

const refused = (field: string, more: object = {}): unknown =>
  expect.objectContaining({ code: 'INVALID_INPUT', details: expect.objectContaining({ field, ...more }) });

test.each<[string, unknown, object?]>([
  ['options', 7],
  ['stepz', { stepz: 3 }, { nearest: 'steps' }],
  ['negative_prompt', { negative_prompt: '' }, { nearest: 'negativePrompt' }],
  ['somethingElse', { somethingElse: 1 }],
  ['prompt', { prompt: 3 }],
  ['steps', { steps: 0 }],
  ['steps', { steps: 2.5 }],
  ['steps', { steps: '20' }],
  ['guidance', { guidance: Number.NaN }],
  ['guidance', { guidance: 101 }],
  ['seed', { seed: -1 }],
  ['seed', { seed: 2 ** 60 }],
  ['width', { width: 4097 }],
  ['solver', { solver: 'dpm+' }, { nearest: 'dpm++' }],
  ['compression', { compression: 0.95 }],
  ['returnRouting', { returnRouting: 1 }],
  ['latents', { latents: [1, 2] }],
  ['latents', { latents: { shape: [1.5], data: [1] } }],
  ['latents', { latents: { shape: [1], data: ['a'] } }],
  ['signal', { signal: {} }],
  ['onStep', { onStep: 'yes' }],
  ['busy', { busy: 'wait' }],
  ['previewEvery', { previewEvery: 0.5 }],
])('%s of %j is refused by name', (field, options, more) => {
  expect(() => readRunOptions(options)).toThrow(refused(field, more));
});

test.each<[string, unknown]>([
  ['devise', { devise: 'cpu' }],
  ['device', { device: 'gpu' }],
  ['cache', { cache: 'always' }],
  ['concurrency', { concurrency: 0 }],
  ['precision', { precision: 'f16' }],
  ['rememberKernels', { rememberKernels: 'no' }],
  ['fetch', { fetch: {} }],
  ['init', { init: 'token' }],
  ['integrity', { integrity: 'abc' }],
])('%s of %j is refused at loading', (field, options) => {
  expect(() => readLoadOptions(options)).toThrow(refused(field));
});

test('a proxy of a framework is copied, and undefined is not there', () => {
  const deep = <T extends object>(value: T): T =>
    new Proxy(value, { get: (at, key) => { const got: unknown = Reflect.get(at, key); return typeof got === 'object' && got !== null ? deep(got) : got; } }); // prettier-ignore
  const options = deep({ prompt: 'x', steps: undefined, latents: { shape: [1, 2], data: new Float32Array([1, 2]) } });
  const { request } = readRunOptions(options);
  expect(structuredClone(request)).toEqual({
    prompt: 'x',
    seed: expect.any(Number),
    latents: { shape: [1, 2], data: Float32Array.of(1, 2) },
  });
});

test('what is asked for reaches the request, and nothing else', () => {
  const run = readRunOptions({ compression: 'off', maskAware: { ring: 1 }, image: 1, mask: 2, strength: 0.5, seed: 3 }, [
    'image',
    'mask',
    'strength',
    'maskAware',
  ]);
  expect(run.request).toEqual({ compression: 'off', seed: 3 });
  expect(run.edit).toEqual({ strength: 0.5, maskAware: { ring: 1 } });
  expect(() => readRunOptions({ image: 1, maskAware: { rings: 1 } }, ['image', 'maskAware'])).toThrow(
    refused('maskAware.rings', { nearest: 'ring' }),
  );
});

test('a number inside an option is named with its option', () => {
  expect(() => readRunOptions({ image: 1, maskAware: { ring: -1 } }, ['image', 'maskAware'])).toThrow(refused('maskAware.ring'));
});
