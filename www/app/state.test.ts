import type { ModelInfo } from 'diffcr-web';
import { expect, test } from 'vitest';
import { INFO } from '../lib/testing/fake.ts';
import { featherOf, firstFeather, optionsOf, sizesOf, sizeText, whyIdle } from './form.ts';
import { busy, initial, reduce, type Action, type Retouch, type State } from './state.ts';

const form = { prompt: 'a red star', negativePrompt: '', seed: 7, steps: 12, guidance: 3, compression: 'learned' };
const info: ModelInfo = { ...INFO, name: 'scenes', width: 64, height: 64, layers: 8, tokens: 64 };
const loaded: Action = { type: 'loaded', backend: 'webgpu', note: undefined, info };
const step: Action = { type: 'step', step: 1, total: 12, etaMs: 500 };
const cost = { flops: 3, denseFlops: 4, totalMs: 900, denseMs: undefined };
const done: Action = { type: 'done', total: 12, totalMs: 900, stepMs: 70, cost };

function after(...actions: Action[]): State {
  return actions.reduce(reduce, initial(form));
}

test('the usual way: load, ask, draw', () => {
  expect(after({ type: 'load' }).model).toEqual({ kind: 'loading', progress: undefined });
  const progress = { phase: 'download', loadedBytes: 1, cachedBytes: 0, totalBytes: 2, overall: 0.4 } as const;
  expect(after({ type: 'load' }, { type: 'progress', progress }).model).toEqual({ kind: 'loading', progress });
  expect(after({ type: 'load' }, loaded).model).toMatchObject({ kind: 'ready', backend: 'webgpu' });
  const running = after({ type: 'load' }, loaded, { type: 'ask' }, { type: 'start' });
  expect(running.run).toEqual({ kind: 'running', step: 0, total: 12, etaMs: undefined });
  expect(reduce(running, step).run).toEqual({ kind: 'running', step: 1, total: 12, etaMs: 500 });
  expect(reduce(reduce(running, step), done).run).toEqual({ kind: 'done', total: 12, totalMs: 900, stepMs: 70 });
});

test('a model with routers brings its presets, and a choice it does not have becomes its own', () => {
  const routing = {
    bins: [1, 0.5],
    regions: 1,
    scoreScale: 'mlp' as const,
    scoreGain: 1,
    presets: [{ name: 'fast', keep: [[0.5]], denseSteps: 0 }],
    default: 'fast',
  };
  const routed: Action = { type: 'loaded', backend: 'webgpu', note: undefined, info: { ...info, routing } };
  expect(after(routed).form.compression).toBe('fast');
  expect(after({ type: 'edit', change: { compression: 'off' } }, routed).form.compression).toBe('off');
  expect(after(loaded).form.compression).toBe('learned');
  expect(after({ type: 'heat' }).heat).toBe(true);
  expect(after({ type: 'heat' }, { type: 'heat' }).heat).toBe(false);
});

test('a picture can be asked for while the model loads', () => {
  const state = after({ type: 'load' }, { type: 'ask' }, loaded);
  expect(state.run).toEqual({ kind: 'waiting' });
  expect(state.model.kind).toBe('ready');
});

test('cancelling keeps a finished picture and a loaded model, and nothing half done', () => {
  expect(after({ type: 'load' }, { type: 'ask' }, { type: 'cancelled' })).toMatchObject({
    model: { kind: 'idle' },
    run: { kind: 'none' },
    fault: undefined,
  });
  expect(after({ type: 'load' }, loaded, { type: 'ask' }, { type: 'start' }, { type: 'cancelled' })).toMatchObject({
    model: { kind: 'ready' },
    run: { kind: 'none' },
  });
  expect(after({ type: 'load' }, loaded, { type: 'start' }, done, { type: 'cancelled' }).run.kind).toBe('done');
});

test('news of what was cancelled are not heard', () => {
  const cancelled = after({ type: 'load' }, loaded, { type: 'ask' }, { type: 'start' }, { type: 'cancelled' });
  expect(reduce(cancelled, step)).toBe(cancelled);
  const idle = after({ type: 'load' }, { type: 'cancelled' });
  expect(
    reduce(idle, { type: 'progress', progress: { phase: 'download', loadedBytes: 1, cachedBytes: 0, totalBytes: 2, overall: 0.4 } }),
  ).toBe(idle);
});

test('a failure is shown until the next attempt', () => {
  const failed = after({ type: 'load' }, { type: 'failed', fault: { code: 'NETWORK', message: 'no' } });
  expect(failed).toMatchObject({ model: { kind: 'idle' }, run: { kind: 'none' }, fault: { code: 'NETWORK' } });
  expect(reduce(failed, { type: 'load' }).fault).toBeUndefined();
  expect(reduce(failed, { type: 'dismiss' }).fault).toBeUndefined();
});

test.each([
  ['INVALID_INPUT', 'ready'],
  ['DEVICE_LOST', 'idle'],
  ['INTERNAL', 'idle'],
  ['DISPOSED', 'idle'],
])('after %s the model is %s', (code, kind) => {
  const state = after({ type: 'load' }, loaded, { type: 'ask' }, { type: 'start' }, { type: 'failed', fault: { code, message: '' } });
  expect(state.model.kind).toBe(kind);
  expect(state.run.kind).toBe('none');
});

test('looking back goes through the steps of a finished run; the last one is the picture', () => {
  const finished = after({ type: 'load' }, loaded, { type: 'start' }, done);
  expect(reduce(finished, { type: 'look', step: 3 }).looking).toBe(3);
  expect(reduce(finished, { type: 'look', step: 12 }).looking).toBeUndefined();
  expect(reduce(reduce(finished, { type: 'look', step: 3 }), { type: 'ask' }).looking).toBeUndefined();
  expect(after({ type: 'look', step: 3 }).looking).toBeUndefined();
});

test('numbers stay within their limits', () => {
  const edit = (change: Partial<typeof form>) => after({ type: 'edit', change }).form;
  expect(edit({ steps: 0 }).steps).toBe(1);
  expect(edit({ steps: 1000 }).steps).toBe(50);
  expect(edit({ guidance: Number.NaN }).guidance).toBe(1);
  expect(edit({ seed: -3 }).seed).toBe(0);
  expect(edit({ seed: 1.9 }).seed).toBe(1);
  expect(edit({ seed: 1e30 }).seed).toBe(2 ** 32 - 1);
});

test('a complaint stops nothing', () => {
  const running = after({ type: 'load' }, loaded, { type: 'ask' }, { type: 'start' });
  const fault = { code: 'INVALID_INPUT', message: 'image: notes.pdf is no image' };
  expect(reduce(running, { type: 'complain', fault })).toEqual({ ...running, fault });
});

test('a size is offered and asked for; one that the model cannot draw is its own', () => {
  expect(sizesOf({ width: 64, height: 64, sideMultiple: 8 }).map(({ name, ...sides }) => [sizeText(sides), name])).toEqual([
    ['64x64', "the model's own"],
    ['96x64', 'wide'],
    ['64x96', 'tall'],
    ['96x96', 'large'],
  ]);
  expect(sizesOf({ width: 72, height: 72, sideMultiple: 16 })[3]).toMatchObject({ width: 112, height: 112 });
  expect(optionsOf({ ...form, size: '96x64' })).toMatchObject({ width: 96, height: 64 });
  expect(optionsOf({ ...form, size: undefined })).not.toHaveProperty('width');
  const coarse: Action = { ...loaded, info: { ...info, sideMultiple: 8 } };
  const sized = (size: string): string | undefined => reduce(initial({ ...form, size }), coarse).form.size;
  expect([sized('96x64'), sized('64x64'), sized('97x64')]).toEqual(['96x64', undefined, undefined]);
});

test('a compression is a name or a share, and a solver is asked for where one was chosen', () => {
  expect(optionsOf({ ...form, compression: '0.4' })).toEqual({ ...form, compression: 0.4 });
  expect(optionsOf({ ...form, compression: '7' }).compression).toBe(0.9);
  expect(optionsOf({ ...form, solver: 'ddim' })).toEqual({ ...form, solver: 'ddim' });
  expect(after({ type: 'edit', change: { compression: '0.4' } }, loaded).form.compression).toBe('0.4');
});

test('busy is what can be cancelled', () => {
  expect(busy(after())).toBe(false);
  expect(busy(after({ type: 'load' }))).toBe(true);
  expect(busy(after({ type: 'load' }, loaded))).toBe(false);
  expect(busy(after({ type: 'load' }, loaded, { type: 'ask' }))).toBe(true);
  expect(busy(after({ type: 'load' }, loaded, { type: 'start' }))).toBe(true);
  expect(busy(after({ type: 'load' }, loaded, { type: 'start' }, done))).toBe(false);
});

test("a finished picture or one of the reader's can be retouched, nothing else", () => {
  expect(after({ type: 'retouch' }).retouch).toBeUndefined();
  expect(after({ type: 'load' }, loaded, { type: 'start' }, { type: 'retouch' }).retouch).toBeUndefined();
  for (const ready of [after({ type: 'load' }, loaded, { type: 'start' }, done), after({ type: 'opened', ours: false })]) {
    const state = reduce(ready, { type: 'retouch' });
    expect(state.retouch).toMatchObject({ tool: 'brush', painted: false });
    expect(reduce(state, { type: 'leave' }).retouch).toBeUndefined();
  }
});

test('a change that is cancelled or fails leaves the picture as it was; one that is done can be compared', () => {
  const changing = after(
    { type: 'load' },
    loaded,
    { type: 'opened', ours: false },
    { type: 'retouch' },
    { type: 'ask' },
    { type: 'start' },
  );
  expect(reduce(changing, { type: 'cancelled' })).toMatchObject({ run: { kind: 'opened', ours: false }, retouch: { tool: 'brush' } });
  expect(reduce(changing, { type: 'failed', fault: { code: 'INVALID_INPUT', message: '' } }).run).toEqual({ kind: 'opened', ours: false });
  const changed = reduce(changing, done);
  expect(changed).toMatchObject({ run: { kind: 'done' }, before: 0 });
  expect(reduce(changed, { type: 'compare', before: 140 }).before).toBe(100);
  expect(reduce(reduce(changed, { type: 'start' }), { type: 'cancelled' }).before).toBe(0);
  expect(after({ type: 'compare', before: 50 }).before).toBeUndefined();
});

test('what the browser keeps of the model does not depend on loading and drawing', () => {
  const kept = { bytes: 5e6, state: 'there' } as const;
  const state = after({ type: 'kept', kept }, { type: 'load' }, loaded, { type: 'start' }, done);
  expect(state.kept).toEqual(kept);
  expect(reduce(state, { type: 'failed', fault: { code: 'DEVICE_LOST', message: '' } }).kept).toEqual(kept);
  expect(reduce(state, { type: 'kept', kept: undefined }).kept).toBeUndefined();
});

test('brushes stay within their limits', () => {
  const tool = (change: Partial<Retouch>) => after({ type: 'opened', ours: false }, { type: 'retouch' }, { type: 'tool', change }).retouch;
  expect(tool({ size: 0 })?.size).toBe(0.5);
  expect(tool({ strength: Number.NaN })?.strength).toBe(5);
  expect(tool({ feather: 1000 })?.feather).toBe(20);
});

test('a change that would run no step says so', () => {
  expect(whyIdle(12, 5)).toBe('12 steps run none at a strength of 5 %: raise one of them.');
  expect(whyIdle(1, 95)).toMatch(/^1 step runs none/);
  expect([whyIdle(1, 100), whyIdle(20, 5)]).toEqual([undefined, undefined]);
});

test('a soft edge is as wide as its picture is large, up to what the engine takes; large pictures begin with one', () => {
  expect([featherOf(2, { width: 100, height: 300 }), featherOf(20, { width: 9000, height: 9 })]).toEqual([6, 1024]);
  expect([firstFeather({ width: 128, height: 1024 }), firstFeather({ width: 4000, height: 10 })]).toEqual([0, 1]);
});

test('an edit can be reopened after it, and where it comes from the history; another picture cannot', () => {
  const opened = after({ type: 'opened', ours: true, edited: true });
  expect([opened.edited, after({ type: 'opened', ours: true }).edited]).toEqual([true, false]);
  const drawn = reduce(
    reduce(after({ type: 'opened', ours: false }, { type: 'retouch', change: { feather: 3, size: 900 } }), { type: 'start' }),
    done,
  );
  expect(drawn.retouch).toMatchObject({ feather: 3, size: 60 });
  expect(drawn.edited).toBe(true);
  expect(reduce(reduce(reduce(drawn, { type: 'leave' }), { type: 'start' }), done).edited).toBe(false);
});

test('a run that ends without a picture leaves the one before, with what it cost', () => {
  const drawn = after({ type: 'load' }, loaded, { type: 'ask' }, { type: 'start' }, done);
  for (const end of [{ type: 'cancelled' }, { type: 'failed', fault: { code: 'INVALID_INPUT', message: '' } }] as const) {
    const left = [{ type: 'ask' }, { type: 'start' }, end].reduce((state, action) => reduce(state, action as Action), drawn);
    expect(left).toMatchObject({ run: drawn.run, cost, last: undefined });
  }
});

test('the dense run is compared with the picture that is there', () => {
  const drawn = after({ type: 'load' }, loaded, { type: 'ask' }, { type: 'start' }, done, { type: 'ask' }, { type: 'start' });
  expect(reduce(drawn, { type: 'compared', denseMs: 1200 })).toMatchObject({
    run: { kind: 'done', total: 12 },
    cost: { flops: 3, denseMs: 1200 },
    before: 50,
    against: 'dense',
  });
});

test('what a run fetches first is told until it is there', () => {
  const progress = (loadedBytes: number, overall: number) => ({
    phase: 'download' as const,
    loadedBytes,
    cachedBytes: 0,
    totalBytes: 90,
    overall,
  });
  const ready = after({ type: 'load' }, loaded);
  const running = reduce(ready, { type: 'start' });
  const fetching = reduce(running, { type: 'fetching', progress: progress(30, 0.3) });
  expect(fetching.run).toMatchObject({ kind: 'running', fetching: { loadedBytes: 30, totalBytes: 90 } });
  expect(reduce(fetching, { type: 'fetching', progress: progress(90, 1) }).run).toEqual(running.run);
  expect(reduce(ready, { type: 'fetching', progress: progress(1, 0.1) })).toBe(ready);
});
