/** The page's state and the one pure function that changes it. Pictures live beside it, in the views. */

import type { Backend, ModelInfo, Progress } from 'diffcr-web';
import { clamped, LIMITS, shareOf, sidesOf, sizeText, within, type Form } from './form.ts';

/** A failure as the page shows it. */
export interface Fault {
  readonly code: string;
  readonly message: string;
}

export type Model =
  | { readonly kind: 'idle' }
  | { readonly kind: 'loading'; readonly progress: Progress | undefined }
  | { readonly kind: 'ready'; readonly backend: Backend; readonly note: string | undefined; readonly info: ModelInfo };

export type Run =
  | { readonly kind: 'none' }
  /** A picture that no run of this visit drew is shown, of the reader's or, with its parameters inside, of ours. */
  | { readonly kind: 'opened'; readonly ours: boolean }
  /** Asked for before the model is there. */
  | { readonly kind: 'waiting' }
  /** `fetching`: what comes first of what the model has not loaded, in bytes. */
  | {
      readonly kind: 'running';
      readonly step: number;
      readonly total: number;
      readonly etaMs: number | undefined;
      readonly fetching?: Pick<Progress, 'loadedBytes' | 'totalBytes'>;
    }
  | { readonly kind: 'done'; readonly total: number; readonly totalMs: number; readonly stepMs: number };

/** What the last finished run cost. */
export interface Cost {
  /** Operations, and those of the same run through every token of every layer. */
  readonly flops: number;
  readonly denseFlops: number;
  readonly totalMs: number;
  /** What the dense run took, once it was made. */
  readonly denseMs: number | undefined;
}

/** Weights that stay in the browser between visits. */
export interface Kept {
  readonly bytes: number;
  /** Whether they are there, all or for want of room a part, were taken away by the reader, or would not go. */
  readonly state: 'there' | 'part' | 'removed' | 'stuck';
}

/** How a part of the picture is drawn anew. */
export interface Retouch {
  /** Brush or eraser. */
  readonly tool: 'brush' | 'eraser';
  /** Width of the brush, in percent of the picture's longer side. */
  readonly size: number;
  /** In percent: how far the part may go from what was there. */
  readonly strength: number;
  /** Width over which the edge fades, in percent of the picture's longer side. */
  readonly feather: number;
  /** Only the surroundings are looked at, in all detail. */
  readonly crop: boolean;
  /** Something is painted. */
  readonly painted: boolean;
  readonly canUndo: boolean;
  readonly canRedo: boolean;
}

export interface State {
  readonly form: Form;
  /** Every picture has a new seed. */
  readonly roll: boolean;
  readonly model: Model;
  readonly run: Run;
  /** The picture that is shown again where a run ends without one. */
  readonly last: Run | undefined;
  /** Of the picture that is shown; undefined where no run of this visit drew it. */
  readonly cost: Cost | undefined;
  readonly fault: Fault | undefined;
  /** The step that the picture shows, from 1; undefined for the latest. */
  readonly looking: number | undefined;
  /** Present while a part of the picture is chosen and drawn anew. */
  readonly retouch: Retouch | undefined;
  /** Percent of the picture that shows what it is compared with; undefined where there is nothing to compare. */
  readonly before: number | undefined;
  /** What that is: the picture before the last change, or the same one drawn by the dense model. */
  readonly against: 'before' | 'dense';
  /** Whether the picture came of an edit whose source and mask are there. */
  readonly edited: boolean;
  /** What this browser keeps of the model; undefined for nothing, as far as is known. */
  readonly kept: Kept | undefined;
  /** Whether the picture shows which of its parts ran how many layers. */
  readonly heat: boolean;
  /** The layer, from 1, whose tokens the picture shows; undefined for all of them. */
  readonly layer: number | undefined;
}

export type Action =
  | { readonly type: 'edit'; readonly change: Partial<Form> }
  | { readonly type: 'roll'; readonly roll: boolean }
  | { readonly type: 'load' }
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'loaded'; readonly backend: Backend; readonly note: string | undefined; readonly info: ModelInfo }
  /** The picture is asked for. */
  | { readonly type: 'ask' }
  | { readonly type: 'start' }
  | { readonly type: 'step'; readonly step: number; readonly total: number; readonly etaMs: number }
  | { readonly type: 'fetching'; readonly progress: Progress }
  | { readonly type: 'done'; readonly total: number; readonly totalMs: number; readonly stepMs: number; readonly cost: Cost }
  /** The dense run is there, to compare with. */
  | { readonly type: 'compared'; readonly denseMs: number }
  | { readonly type: 'look'; readonly step: number }
  | { readonly type: 'cancelled' }
  | { readonly type: 'failed'; readonly fault: Fault }
  /** Something beside the run went wrong, a file that cannot be read: what is under way goes on. */
  | { readonly type: 'complain'; readonly fault: Fault }
  | { readonly type: 'dismiss' }
  /** The reader's picture is there. */
  | { readonly type: 'opened'; readonly ours: boolean; readonly edited?: boolean }
  | { readonly type: 'retouch'; readonly change?: Partial<Retouch> }
  | { readonly type: 'leave' }
  | { readonly type: 'tool'; readonly change: Partial<Retouch> }
  | { readonly type: 'compare'; readonly before: number }
  | { readonly type: 'kept'; readonly kept: Kept | undefined }
  | { readonly type: 'heat' }
  | { readonly type: 'layer'; readonly layer: number | undefined };

/** After these the pipeline cannot be used again: the model has to be loaded anew. */
const FATAL: readonly string[] = ['DEVICE_LOST', 'DISPOSED', 'INTERNAL'];

export function initial(form: Form): State {
  return {
    form,
    roll: false,
    model: { kind: 'idle' },
    run: { kind: 'none' },
    last: undefined,
    cost: undefined,
    fault: undefined,
    looking: undefined,
    retouch: undefined,
    before: undefined,
    against: 'before',
    edited: false,
    kept: undefined,
    heat: false,
    layer: undefined,
  };
}

const RETOUCH: Retouch = {
  tool: 'brush',
  size: 20,
  strength: 100,
  feather: 0,
  crop: false,
  painted: false,
  canUndo: false,
  canRedo: false,
};

/** Whether there is a picture that can be changed. */
export function hasPicture({ run }: State): boolean {
  return run.kind === 'done' || run.kind === 'opened';
}

export function reduce(state: State, action: Action): State {
  switch (action.type) {
    case 'edit':
      return { ...state, form: clamped({ ...state.form, ...action.change }) };
    case 'roll':
      return { ...state, roll: action.roll };
    case 'load':
      return { ...state, model: { kind: 'loading', progress: undefined }, fault: undefined };
    case 'progress':
      return state.model.kind === 'loading' ? { ...state, model: { kind: 'loading', progress: action.progress } } : state;
    case 'loaded': {
      const { backend, note, info } = action;
      const asked = state.form.compression;
      const known = asked === 'off' || shareOf(asked) !== undefined || info.routing?.presets.some(({ name }) => name === asked) === true;
      const compression = known ? asked : (info.routing?.default ?? 'learned');
      const sides = sidesOf(state.form.size);
      const fits = sides !== undefined && sides.width % info.sideMultiple === 0 && sides.height % info.sideMultiple === 0;
      const size = fits && state.form.size !== sizeText(info) ? state.form.size : undefined;
      return { ...state, model: { kind: 'ready', backend, note, info }, form: { ...state.form, compression, size } };
    }
    case 'ask':
      return { ...state, run: { kind: 'waiting' }, last: lastOf(state), fault: undefined, looking: undefined };
    case 'start':
      return {
        ...state,
        run: { kind: 'running', step: 0, total: state.form.steps, etaMs: undefined },
        last: lastOf(state),
      };
    case 'fetching': {
      const { loadedBytes, totalBytes, overall } = action.progress;
      if (state.run.kind !== 'running') return state;
      const { kind, step, total, etaMs } = state.run;
      const run = { kind, step, total, etaMs };
      return { ...state, run: overall < 1 ? { ...run, fetching: { loadedBytes, totalBytes } } : run };
    }
    case 'step': {
      const { step, total, etaMs } = action;
      return state.run.kind === 'running' ? { ...state, run: { kind: 'running', step, total, etaMs } } : state;
    }
    case 'done': {
      const { total, totalMs, stepMs, cost } = action;
      const edited = state.retouch !== undefined;
      const before = edited ? 0 : undefined;
      return { ...state, run: { kind: 'done', total, totalMs, stepMs }, last: undefined, cost, before, against: 'before', edited };
    }
    case 'compared': {
      const { denseMs } = action;
      const cost = state.cost === undefined ? undefined : { ...state.cost, denseMs };
      return { ...state, run: state.last ?? { kind: 'none' }, last: undefined, cost, before: 50, against: 'dense' };
    }
    case 'look':
      return state.run.kind === 'done' ? { ...state, looking: action.step < state.run.total ? action.step : undefined } : state;
    case 'cancelled':
      return { ...state, ...stopped(state) };
    case 'failed': {
      const dead = FATAL.includes(action.fault.code);
      const { model, run, last } = stopped(state);
      return { ...state, model: dead ? { kind: 'idle' } : model, run, last, fault: action.fault };
    }
    case 'complain':
      return { ...state, fault: action.fault };
    case 'dismiss':
      return { ...state, fault: undefined };
    case 'opened':
      return {
        ...state,
        run: { kind: 'opened', ours: action.ours },
        last: undefined,
        cost: undefined,
        fault: undefined,
        looking: undefined,
        before: undefined,
        edited: action.edited ?? false,
      };
    case 'retouch':
      return hasPicture(state) ? { ...state, retouch: limited({ ...RETOUCH, ...action.change }), looking: undefined } : state;
    case 'leave':
      return { ...state, retouch: undefined };
    case 'tool':
      return state.retouch === undefined ? state : { ...state, retouch: limited({ ...state.retouch, ...action.change }) };
    case 'compare':
      return state.before === undefined ? state : { ...state, before: within(action.before, { min: 0, max: 100 }) };
    case 'kept':
      return { ...state, kept: action.kept };
    case 'heat':
      return { ...state, heat: !state.heat };
    case 'layer':
      return { ...state, layer: action.layer };
  }
}

/** Something is under way that can be cancelled. */
export function busy({ model, run }: State): boolean {
  return model.kind === 'loading' || run.kind === 'waiting' || run.kind === 'running';
}

/** The picture that a run that begins takes the place of. */
function lastOf(state: State): Run | undefined {
  return hasPicture(state) ? state.run : state.last;
}

/** What loading and running become when they end without a result. */
function stopped(state: State): Pick<State, 'model' | 'run' | 'last'> {
  const { model, run, last } = state;
  return {
    model: model.kind === 'loading' ? { kind: 'idle' } : model,
    run: hasPicture(state) ? run : (last ?? { kind: 'none' }),
    last: undefined,
  };
}

function limited(retouch: Retouch): Retouch {
  return {
    ...retouch,
    size: within(retouch.size, LIMITS.size),
    strength: within(retouch.strength, LIMITS.strength),
    feather: within(retouch.feather, LIMITS.feather),
  };
}
