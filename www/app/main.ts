/** The demo page: wires state, views and the package. */

import { DiffCRError, loadModel, models, type DeviceChoice, type Output, type Picture, type Pipeline, type Step } from 'diffcr-web';
import { DEFAULT_MODEL, pageOptions, type PageOptions } from './address.ts';
import { faultOf } from './faults.ts';
import { busy, initial, LIMITS, reduce, type Action, type State } from './state.ts';
import { find, limit } from './views/dom.ts';
import { createForm } from './views/form.ts';
import { createEditor } from './views/editor.ts';
import { createNotices } from './views/notices.ts';
import { createPicture } from './views/picture.ts';
import { createRouting } from './views/routing.ts';
import { createStorage } from './views/storage.ts';
import { EXAMPLES } from './words.ts';

let page: PageOptions = { model: DEFAULT_MODEL, scenes: true, device: 'auto' };
let refused: unknown;
try {
  page = pageOptions(location.search);
} catch (error) {
  refused = error;
}

for (const [id, limits] of Object.entries(LIMITS)) limit(find(id, HTMLInputElement), limits);

let state = initial({
  prompt: page.scenes ? (EXAMPLES[0] ?? '') : '',
  negativePrompt: '',
  seed: 7,
  steps: 12,
  guidance: 3,
  compression: 'learned',
});
let device: DeviceChoice = page.device;
let pipeline: Pipeline | undefined;
let output: Output | undefined;
/** What a change starts from: the reader's file itself, so that nothing of it is lost, or the last picture. */
let source: Picture | undefined;
/** Of whatever is under way; there is one thing at a time. */
let work = new AbortController();

const cancel = (): void => work.abort();
const picture = createPicture({
  load: () => void load(),
  cancel,
  look: (step) => dispatch({ type: 'look', step }),
  download: () => void download(),
});
const editor = createEditor({
  open: (file) => void open(file),
  retouch: () => retouch(),
  leave: () => dispatch({ type: 'leave' }),
  tool: (change) => dispatch({ type: 'tool', change }),
  compare: (before) => dispatch({ type: 'compare', before }),
});
const routing = createRouting({ edit: (change) => dispatch({ type: 'edit', change }), toggle: () => dispatch({ type: 'heat' }) });
const views = [
  createForm({ edit: (change) => dispatch({ type: 'edit', change }), submit: () => void ask(), cancel }, page.scenes),
  createNotices({
    retry: () => void (state.model.kind === 'ready' ? ask() : load()),
    useCpu: () => {
      device = 'cpu';
      void load();
    },
  }),
  (state: State) => picture.render(state),
  (state: State) => editor.render(state),
  (state: State) => routing.render(state),
  createStorage({ remove: () => void removeWeights() }),
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
    pipeline = await loadModel(page.model, { device, signal, onProgress: (progress) => dispatch({ type: 'progress', progress }) });
    dispatch({ type: 'loaded', backend: pipeline.backend, note: pipeline.note, info: pipeline.info });
    void lookForWeights();
    if (state.run.kind === 'waiting') await draw(pipeline);
  } catch (error) {
    ended(error);
    void lookForWeights();
  }
}

/** What the browser keeps of the model, also where a load was cut short. */
async function lookForWeights(): Promise<void> {
  const found = await models.get(page.model).catch(() => undefined);
  dispatch({ type: 'kept', kept: found === undefined || found.bytes === 0 ? undefined : { bytes: found.bytes, state: 'there' } });
}

/** The loaded model goes on without what is kept: its weights are in the worker. */
async function removeWeights(): Promise<void> {
  const { kept } = state;
  if (kept === undefined) return;
  const gone = await models.remove(page.model).then(
    () => true,
    () => false,
  );
  dispatch({ type: 'kept', kept: { bytes: kept.bytes, state: gone ? 'removed' : 'stuck' } });
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
  const { retouch } = state;
  const [before, mask] = [picture.image(), editor.mask()];
  const total = retouch === undefined ? form.steps : Math.floor((form.steps * retouch.strength) / 100);
  picture.begin(total);
  dispatch({ type: 'start' });
  const options = {
    ...form,
    previewEvery: 1,
    returnRouting: true,
    signal: work.signal,
    onStep: ({ step, total, etaMs, preview }: Step): void => {
      if (preview !== undefined) picture.step(step, preview);
      dispatch({ type: 'step', step, total, etaMs });
    },
  };
  try {
    if (retouch === undefined) {
      output = await model.generate(options);
    } else if (source !== undefined && before !== undefined && mask !== undefined) {
      const { strength, feather, crop } = retouch;
      output = await model.inpaint({ ...options, image: source, mask, strength: strength / 100, feather, cropToMask: crop });
      editor.keep(before);
      editor.clear();
    } else {
      throw new DiffCRError('INVALID_INPUT', 'image: there is no picture to change', { field: 'image' });
    }
    const { image, timings } = output;
    source = image;
    picture.finish(image);
    routing.keep(output.routing);
    const stepMs = timings.stepMs.reduce((sum, ms) => sum + ms, 0) / Math.max(timings.stepMs.length, 1);
    dispatch({ type: 'done', total: timings.stepMs.length, totalMs: timings.totalMs, stepMs });
  } catch (error) {
    ended(error);
  }
}

function ended(error: unknown): void {
  if (work.signal.aborted) dispatch({ type: 'cancelled' });
  else dispatch({ type: 'failed', fault: faultOf(error) });
}

/** The reader's picture takes the place of the last one, ready to be changed. */
async function open(file: Blob): Promise<void> {
  if (state.run.kind === 'running' || state.run.kind === 'waiting') return;
  try {
    const bitmap = await createImageBitmap(file).catch((cause: unknown) => {
      throw new DiffCRError('INVALID_INPUT', 'image: the file is no image that this browser can read', { field: 'image' }, cause);
    });
    const { width, height } = bitmap;
    if (width * height > 4096 * 4096)
      throw new DiffCRError('INVALID_INPUT', `image: ${width} x ${height} pixels are more than 4096 x 4096`, { field: 'image' });
    const context = new OffscreenCanvas(width, height).getContext('2d');
    context?.drawImage(bitmap, 0, 0);
    bitmap.close();
    const image = context?.getImageData(0, 0, width, height);
    if (image === undefined) return;
    source = file;
    output = undefined;
    picture.finish(image);
    dispatch({ type: 'opened' });
    retouch();
  } catch (error) {
    dispatch({ type: 'failed', fault: faultOf(error) });
  }
}

function retouch(): void {
  const image = picture.image();
  if (image === undefined) return;
  editor.begin(image.width, image.height);
  dispatch({ type: 'leave' });
  dispatch({ type: 'retouch' });
}

async function download(): Promise<void> {
  if (output === undefined) return;
  const { prompt, seed } = output.params;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await output.toBlob());
  link.download = `${
    prompt
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .slice(0, 60) || 'picture'
  }-${seed}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

if (refused === undefined) void load();
else dispatch({ type: 'failed', fault: faultOf(refused) });
