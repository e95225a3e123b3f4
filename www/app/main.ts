/** The demo page: wires state, views and the package. */

import {
  loadModel,
  models,
  readParams,
  type DeviceChoice,
  type ModelSource,
  type Output,
  type Pipeline,
  type Progress,
  type Step,
} from 'diffcr-web';
import { asksFor, DEFAULT_MODEL, otherModel, formFrom, formOf, linkOf, pageOptions, type PageOptions } from './address.ts';
import { createEditing, type Editing } from './editing.ts';
import { faultOf } from './faults.ts';
import { anySeed, LIMITS, optionsOf, shareOf, sizeText, stepsRun, type Form } from './form.ts';
import { openHistory, type Drawn, type Edit, type History } from './history.ts';
import { createKeeping } from './keeping.ts';
import { Mask } from './mask.ts';
import { isZip, openPicture, type Opened } from './opening.ts';
import { redraw } from './redraw.ts';
import { copyPicture, fileName, save, share, type Shared } from './share.ts';
import { SHELVES, sparing, wordsKnown } from './shelf.ts';
import { busy, initial, reduce, type Action, type State } from './state.ts';
import { thumbnail } from './thumbnail.ts';
import { createBatch } from './views/batch.ts';
import { createCode } from './views/code.ts';
import { createCost } from './views/cost.ts';
import { find, limit, say } from './views/dom.ts';
import { createFacts } from './views/facts.ts';
import { createFiles } from './views/files.ts';
import { createForm } from './views/form.ts';
import { createEditor } from './views/editor.ts';
import { createGallery } from './views/gallery.ts';
import { createHistory } from './views/history.ts';
import { createModels } from './views/models.ts';
import { createNotices } from './views/notices.ts';
import { createPicture } from './views/picture.ts';
import { createRouting } from './views/routing.ts';
import { createStorage } from './views/storage.ts';
import { EXAMPLES } from './words.ts';

let page: PageOptions = { model: DEFAULT_MODEL, scenes: true, device: 'auto', draws: true };
let refused: unknown;
try {
  page = pageOptions(location.search);
} catch (error) {
  refused = error;
}

for (const [id, limits] of Object.entries(LIMITS)) limit(find(id, HTMLInputElement), limits);

let state = initial({
  prompt: SHELVES[page.model]?.examples[0]?.prompt ?? (page.scenes ? (EXAMPLES[0] ?? '') : ''),
  negativePrompt: '',
  seed: 7,
  steps: 12,
  guidance: 3,
  compression: 'learned',
});
state = reduce(state, { type: 'edit', change: formOf(location.search) });
let device: DeviceChoice = page.device;
/** A model of the reader's files, which takes the place of the page's own until the page is left. */
let local: ModelSource | undefined;
let pipeline: Pipeline | undefined;
let output: Output | undefined;
/** Pictures of the run that is asked for. */
let wanted = 1;
/** The picture that is shown, where it is one of ours. */
let shown: Shared | undefined;
let history: History | undefined;
/** What waits for the run that is under way. */
let afterRun: (() => void) | undefined;
/** Of whatever is under way; there is one thing at a time. */
let work = new AbortController();

const cancel = (): void => work.abort();
const picture = createPicture({
  load: () => void load(),
  cancel,
  look: (step) => dispatch({ type: 'look', step }),
  download: () => shown !== undefined && save(shown.png, fileName(shown.params)),
  copy: () => void attempt(async () => shown !== undefined && (await copyPicture(shown))),
  share: () => void attempt(async () => shown !== undefined && (await share(shown))),
  link: () => void attempt(() => copyText(linkOf(location.href, shown === undefined ? state.form : ownSizeUnsaid(formFrom(shown.params))))),
});
const editor = createEditor({
  retouch: () => editing.open(),
  reopen: () => void reopen(),
  leave: () => editing.leave(),
  resized: () => editing.frame(),
  tool: (change) => dispatch({ type: 'tool', change }),
  compare: (before) => dispatch({ type: 'compare', before }),
});
const editing = createEditing(editor, picture, dispatch);
createFiles((file) => void open(file));
const routing = createRouting({
  edit: (change) => dispatch({ type: 'edit', change }),
  toggle: () => dispatch({ type: 'heat' }),
  layer: (layer) => dispatch({ type: 'layer', layer }),
});
const code = createCode({ copy: (text) => void attempt(() => copyText(text)) });
const showHistory = createHistory({
  open: (drawn) => void open(drawn.png, false, drawn.edit),
  remove: ({ id }) => void changeHistory((kept) => kept.remove(id)),
  clear: () => void changeHistory((kept) => kept.clear()),
});
const batch = createBatch((chosen) => busy(state) || void attempt(() => present(chosen)));
createGallery(page.model, (change) => dispatch({ type: 'edit', change }));
const facts = createFacts();
const shelves = createModels(page.model, {
  open: (model) => {
    location.assign(otherModel(location.href, model));
  },
  local: (source) => takeModel(source),
  remove: (url) => void attempt(() => models.remove(url).then(() => keeping.look())),
});
const keeping = createKeeping(page.model, shelves, () => state, dispatch);
const views = [
  createForm(
    {
      edit: (change) => dispatch({ type: 'edit', change }),
      submit: () => void ask(),
      four: () => void ask(4),
      roll: (roll) => dispatch({ type: 'roll', roll }),
      cancel,
    },
    page.scenes,
    wordsKnown(page.model),
  ),
  createNotices({
    retry: () => void (state.model.kind === 'ready' ? ask() : load()),
    useCpu: () => {
      device = 'cpu';
      void load();
    },
  }),
  (state: State) => picture.render(state, shown?.params.prompt ?? state.form.prompt),
  (state: State) => editor.render(state),
  (state: State) => routing.render(state),
  (state: State) => facts.render(state),
  createCost({ dense: () => void drawDense() }),
  createStorage({ remove: () => void keeping.remove() }),
];

function dispatch(action: Action): void {
  state = reduce(state, action);
  for (const render of views) render(state);
  if (afterRun === undefined || busy(state)) return;
  const next = afterRun;
  afterRun = undefined;
  queueMicrotask(next);
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
    pipeline = await loadModel(local ?? page.model, { device, signal, onProgress: (progress) => dispatch({ type: 'progress', progress }) });
    dispatch({ type: 'loaded', backend: pipeline.backend, note: pipeline.note, info: pipeline.info });
    void keeping.look();
    void keeping.page(pipeline.backend);
    if (state.run.kind === 'waiting') await draw(pipeline);
  } catch (error) {
    ended(error);
    void keeping.look();
  }
}

async function ask(count = 1): Promise<void> {
  if (state.run.kind === 'waiting' || state.run.kind === 'running') return;
  const { kind } = state.model;
  if (state.roll) dispatch({ type: 'edit', change: { seed: anySeed() } });
  dispatch({ type: 'ask' });
  wanted = count;
  if (kind === 'idle') await load();
  else if (pipeline !== undefined && kind === 'ready') await draw(pipeline);
}

async function draw(model: Pipeline): Promise<void> {
  work = new AbortController();
  const { form, retouch } = state;
  let made: Edit | undefined;
  const total = retouch === undefined ? form.steps : stepsRun(form.steps, retouch.strength);
  picture.begin(total);
  dispatch({ type: 'start' });
  let outputs: readonly Output[];
  const options = {
    // A picture that is changed keeps its own size.
    ...optionsOf(retouch === undefined ? form : { ...form, size: undefined }),
    previewEvery: 1,
    returnRouting: true,
    signal: work.signal,
    onLoad: (progress: Progress): void => dispatch({ type: 'fetching', progress }),
    onStep: ({ step, total, etaMs, preview }: Step): void => {
      if (preview !== undefined) picture.step(step, preview);
      dispatch({ type: 'step', step, total, etaMs });
    },
  };
  try {
    if (retouch === undefined) {
      outputs = await model.generate({ ...options, count: wanted });
    } else {
      const asked = editing.begin(retouch);
      made = asked.edit;
      outputs = [await redraw(model, options, asked.redraw)];
      editor.keep(asked.redraw.image);
    }
    batch.keep(outputs);
    const [first] = outputs;
    if (first === undefined) return;
    await present(first, made);
    if (made !== undefined) editing.goOn();
    for (const each of [...outputs].reverse()) {
      const { prompt, seed } = each.params;
      // The first is shown, and encoded by now.
      const png = each === first && shown !== undefined ? shown.png : await each.toBlob();
      const model = local === undefined ? page.model : 'local';
      const small = await thumbnail(each.image);
      const more = { ...(small && { small }), ...(made && { edit: made }) };
      const entry = { png, prompt, seed, model, at: Date.now(), ...more };
      await changeHistory((kept) => kept.add(entry));
    }
  } catch (error) {
    ended(error);
  }
}

/** Shows a picture that a run of this visit drew; `made`: of what, where it was an edit. */
async function present(drawn: Output, made?: Edit): Promise<void> {
  const { image, timings, flops, params } = drawn;
  const png = await drawn.toBlob();
  output = drawn;
  editing.take(image, png, { edit: made && { ...made, params } });
  picture.finish(image);
  routing.keep(drawn.routing);
  facts.keep(drawn);
  code.show(address(), { ...params, size: state.form.size });
  shown = { png, params };
  const { totalMs } = timings;
  const stepMs = timings.stepMs.reduce((sum, ms) => sum + ms, 0) / Math.max(timings.stepMs.length, 1);
  const cost = { flops: flops.total, denseFlops: flops.dense, totalMs, denseMs: undefined };
  dispatch({ type: 'done', total: timings.stepMs.length, totalMs, stepMs, cost });
  globalThis.history.replaceState(null, '', linkOf(location.href, ownSizeUnsaid(formFrom(params))));
}

/** Where the code that is shown finds the model: the reader's files lie wherever a site puts them. */
function address(): string {
  return local === undefined ? new URL(page.model, location.href).href : '/model/';
}

/** A form whose size is left out where it is that of the model. */
function ownSizeUnsaid(form: Form): Form {
  const { model } = state;
  return model.kind === 'ready' && form.size === sizeText(model.info) ? { ...form, size: undefined } : form;
}

/** The picture that is shown once more, with every token in every layer, to compare the two. */
async function drawDense(): Promise<void> {
  const [model, routed] = [pipeline, output];
  if (model === undefined || routed === undefined || busy(state)) return;
  work = new AbortController();
  dispatch({ type: 'ask' });
  dispatch({ type: 'start' });
  const { prompt, negativePrompt, seed, steps, guidance, solver, width, height } = routed.params;
  const onStep = ({ step, total, etaMs }: Step): void => dispatch({ type: 'step', step, total, etaMs });
  try {
    const settings = { prompt, negativePrompt, seed, steps, guidance, solver, width, height };
    const { image, timings } = await model.generate({ ...settings, compression: 'off', signal: work.signal, onStep });
    editor.keep(image);
    dispatch({ type: 'compared', denseMs: timings.totalMs });
  } catch (error) {
    ended(error);
  }
}

function ended(error: unknown): void {
  picture.restore();
  if (work.signal.aborted) dispatch({ type: 'cancelled' });
  else dispatch({ type: 'failed', fault: faultOf(error) });
}

/** A model of the reader's takes the place of the one that is there. */
function takeModel(source: ModelSource): void {
  local = source;
  const reload = (): void => void load();
  if (!busy(state)) return void reload();
  afterRun = reload;
  cancel();
}

/** A picture of the reader's takes the place of the last one: one of ours with its settings, another ready to be changed. */
async function open(file: Blob, change = true, made?: Edit): Promise<void> {
  if (isZip(file)) return void takeModel(file);
  if (state.run.kind === 'running' || state.run.kind === 'waiting') {
    // Whether it can be read is said at once; it takes the place of the picture once that is there.
    await attempt(async () => {
      await openPicture(file);
      afterRun = () => void open(file, change, made);
    });
    return;
  }
  try {
    const opened = await openPicture(file);
    const { params } = opened;
    take(file, opened, { edit: made && params && { ...made, params } });
    if (params === undefined && change) editing.open();
  } catch (error) {
    dispatch({ type: 'failed', fault: faultOf(error) });
  }
}

/** The source of the edit that is shown, with the mask and the settings that it had. */
async function reopen(): Promise<void> {
  const edit = editing.edit();
  if (edit === undefined) return;
  await attempt(async () => {
    const { source, strength, feather, crop } = edit;
    take(source, await openPicture(source), { mask: Mask.unpack(edit.mask), edit });
    dispatch({ type: 'edit', change: ownSizeUnsaid(formFrom(edit.params)) });
    editing.open({ strength, feather, crop });
  });
}

/** Shows the picture of a file. */
function take(file: Blob, { image, params }: Opened, more: Parameters<Editing['take']>[2] = {}): void {
  editing.take(image, file, more);
  output = undefined;
  shown = params === undefined ? undefined : { png: file, params };
  picture.finish(image);
  if (params !== undefined) {
    dispatch({ type: 'edit', change: ownSizeUnsaid(formFrom(params)) });
    code.show(address(), params);
  }
  dispatch({ type: 'leave' });
  dispatch({ type: 'opened', ours: params !== undefined, edited: more.edit !== undefined });
}

async function copyText(text: string): Promise<void> {
  await navigator.clipboard.writeText(text);
  say(find('copied', HTMLElement), 'Copied');
}

/** What the browser or the reader may refuse: a refusal is shown. */
async function attempt(what: () => Promise<unknown>): Promise<void> {
  try {
    await what();
  } catch (error) {
    if (!(error instanceof DOMException && error.name === 'AbortError')) dispatch({ type: 'complain', fault: faultOf(error) });
  }
}

/** Where the browser keeps nothing, pictures are shown until the page is left. */
async function changeHistory(change: (history: History) => Promise<unknown>): Promise<void> {
  if (history === undefined) return;
  try {
    await change(history);
    showHistory(await history.all());
  } catch (error) {
    // Full or closed storage: the picture itself is there, and said once.
    console.info('the picture is not kept:', error);
  }
}

code.show(address(), {
  ...state.form,
  compression: shareOf(state.form.compression) ?? state.form.compression,
});

/** The picture of the address, or the last one, is shown where it is kept; else it draws itself, or waits to be asked for. */
async function begin(): Promise<void> {
  const drawn = await openHistory()
    .then(async (opened) => {
      history = opened;
      const all = await opened.all();
      showHistory(all);
      return all;
    })
    .catch((error: unknown): Drawn[] => {
      console.info('this browser keeps no pictures:', error);
      return [];
    });
  const newest = drawn.find(({ model = DEFAULT_MODEL }) => model === page.model);
  const wait =
    keeping.isForeign() ||
    sparing((navigator as { readonly connection?: { readonly saveData?: boolean; readonly type?: string } }).connection);
  const kept = newest !== undefined && page.draws && (await isAsked(newest));
  if (kept) await open(newest.png, false, newest.edit);
  const draws = page.draws && !kept && state.form.prompt !== '';
  if (!wait) await (draws ? ask() : load());
}

/** Whether the address asks for that picture, or for none. */
async function isAsked({ png }: Drawn): Promise<boolean> {
  if (formOf(location.search).prompt === undefined) return true;
  const params = await readParams(png).catch(() => undefined);
  return params !== undefined && asksFor(state.form, formFrom(params));
}

for (const render of views) render(state);
if (refused === undefined) void begin();
else dispatch({ type: 'failed', fault: faultOf(refused) });
