/** The demo page: wires state, views and the package. */

import { loadModel, type DeviceChoice, type Output, type Pipeline } from 'diffcr-web';
import { wishes, type Wishes } from './address.ts';
import { faultOf } from './faults.ts';
import { busy, initial, reduce, type Action } from './state.ts';
import { createAsk } from './views/ask.ts';
import { createNotices } from './views/notices.ts';
import { createPlate } from './views/plate.ts';
import { EXAMPLES } from './words.ts';

let wish: Wishes = { model: 'models/scenes/', scenes: true, device: 'auto' };
let refused: unknown;
try {
  wish = wishes(location.search);
} catch (error) {
  refused = error;
}

let state = initial({ prompt: wish.scenes ? (EXAMPLES[0] ?? '') : '', negativePrompt: '', seed: 7, steps: 12, guidance: 3 });
let device: DeviceChoice = wish.device;
let pipeline: Pipeline | undefined;
let output: Output | undefined;
/** Of whatever is under way; there is one thing at a time. */
let work = new AbortController();

const cancel = (): void => work.abort();
const plate = createPlate({
  load: () => void load(),
  cancel,
  look: (step) => dispatch({ type: 'look', step }),
  download: () => void download(),
});
const views = [
  createAsk({ edit: (change) => dispatch({ type: 'edit', change }), submit: () => void ask(), cancel }, wish.scenes),
  createNotices({
    retry: () => void (state.model.kind === 'ready' ? ask() : load()),
    useCpu: () => {
      device = 'cpu';
      void load();
    },
  }),
  plate.render,
];

function dispatch(action: Action): void {
  state = reduce(state, action);
  for (const render of views) render(state);
}

/** Loads the model, and draws at once if that was asked for meanwhile. */
async function load(): Promise<void> {
  if (busy(state) && state.run.kind !== 'waiting') return;
  work = new AbortController();
  const { signal } = work;
  dispatch({ type: 'load' });
  try {
    await pipeline?.dispose();
    pipeline = undefined;
    pipeline = await loadModel(wish.model, { device, signal, onProgress: (progress) => dispatch({ type: 'progress', progress }) });
    dispatch({ type: 'loaded', backend: pipeline.backend, note: pipeline.note, info: pipeline.info });
    if (state.run.kind === 'waiting') await draw(pipeline);
  } catch (error) {
    ended(error);
  }
}

async function ask(): Promise<void> {
  if (state.run.kind === 'waiting' || state.run.kind === 'running') return;
  const { kind } = state.model;
  dispatch({ type: 'ask' });
  if (kind === 'idle') await load();
  else if (pipeline !== undefined && kind === 'ready') await draw(pipeline);
}

async function draw(model: Pipeline): Promise<void> {
  work = new AbortController();
  const { form } = state;
  plate.begin(form.steps);
  dispatch({ type: 'start' });
  try {
    output = await model.generate({
      ...form,
      previewEvery: 1,
      signal: work.signal,
      onStep: ({ step, total, etaMs, preview }) => {
        if (preview !== undefined) plate.step(step, preview);
        dispatch({ type: 'step', step, total, etaMs });
      },
    });
    const { image, params, timings } = output;
    plate.finish(image);
    const stepMs = timings.stepMs.reduce((sum, ms) => sum + ms, 0) / Math.max(timings.stepMs.length, 1);
    dispatch({ type: 'done', total: params.steps, totalMs: timings.totalMs, stepMs });
  } catch (error) {
    ended(error);
  }
}

function ended(error: unknown): void {
  if (work.signal.aborted) dispatch({ type: 'cancelled' });
  else dispatch({ type: 'failed', fault: faultOf(error) });
}

async function download(): Promise<void> {
  if (output === undefined) return;
  const { prompt, seed } = output.params;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await output.toBlob());
  link.download = `${prompt.toLowerCase().replace(/[^a-z0-9]+/g, '-').slice(0, 60) || 'picture'}-${seed}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

if (refused === undefined) void load();
else dispatch({ type: 'failed', fault: faultOf(refused) });
