/** The page's state and the one pure function that changes it. Pictures live beside it, in the views. */

import type { Backend, ModelInfo, Progress } from 'diffcr-web';

export interface Form {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
}

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
  /** Asked for before the model is there. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'running'; readonly step: number; readonly total: number; readonly etaMs: number | undefined }
  | { readonly kind: 'done'; readonly total: number; readonly totalMs: number; readonly stepMs: number };

export interface State {
  readonly form: Form;
  readonly model: Model;
  readonly run: Run;
  readonly fault: Fault | undefined;
  /** The step that the picture shows, from 1; undefined for the latest. */
  readonly looking: number | undefined;
}

export type Action =
  | { readonly type: 'edit'; readonly change: Partial<Form> }
  | { readonly type: 'load' }
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'loaded'; readonly backend: Backend; readonly note: string | undefined; readonly info: ModelInfo }
  /** The picture is asked for. */
  | { readonly type: 'ask' }
  | { readonly type: 'start' }
  | { readonly type: 'step'; readonly step: number; readonly total: number; readonly etaMs: number }
  | { readonly type: 'done'; readonly total: number; readonly totalMs: number; readonly stepMs: number }
  | { readonly type: 'look'; readonly step: number }
  | { readonly type: 'cancelled' }
  | { readonly type: 'failed'; readonly fault: Fault }
  | { readonly type: 'dismiss' };

export const LIMITS = {
  steps: { min: 1, max: 50 },
  guidance: { min: 1, max: 10 },
  /** Fits a number exactly, and an input field. */
  seed: { min: 0, max: 2 ** 32 - 1 },
} as const;

/** After these the pipeline cannot be used again: the model has to be loaded anew. */
const FATAL: readonly string[] = ['DEVICE_LOST', 'DISPOSED', 'INTERNAL', 'OUT_OF_MEMORY'];

export function initial(form: Form): State {
  return { form, model: { kind: 'idle' }, run: { kind: 'none' }, fault: undefined, looking: undefined };
}

export function reduce(state: State, action: Action): State {
  switch (action.type) {
    case 'edit':
      return { ...state, form: clamped({ ...state.form, ...action.change }) };
    case 'load':
      return { ...state, model: { kind: 'loading', progress: undefined }, fault: undefined };
    case 'progress':
      return state.model.kind === 'loading' ? { ...state, model: { kind: 'loading', progress: action.progress } } : state;
    case 'loaded': {
      const { backend, note, info } = action;
      return { ...state, model: { kind: 'ready', backend, note, info } };
    }
    case 'ask':
      return { ...state, run: { kind: 'waiting' }, fault: undefined, looking: undefined };
    case 'start':
      return { ...state, run: { kind: 'running', step: 0, total: state.form.steps, etaMs: undefined } };
    case 'step': {
      const { step, total, etaMs } = action;
      return state.run.kind === 'running' ? { ...state, run: { kind: 'running', step, total, etaMs } } : state;
    }
    case 'done': {
      const { total, totalMs, stepMs } = action;
      return { ...state, run: { kind: 'done', total, totalMs, stepMs } };
    }
    case 'look':
      return state.run.kind === 'done' ? { ...state, looking: action.step < state.run.total ? action.step : undefined } : state;
    case 'cancelled':
      return { ...state, ...stopped(state) };
    case 'failed': {
      const dead = FATAL.includes(action.fault.code);
      const { model, run } = stopped(state);
      return { ...state, model: dead ? { kind: 'idle' } : model, run, fault: action.fault };
    }
    case 'dismiss':
      return { ...state, fault: undefined };
  }
}

/** Something is under way that can be cancelled. */
export function busy({ model, run }: State): boolean {
  return model.kind === 'loading' || run.kind === 'waiting' || run.kind === 'running';
}

/** What loading and running become when they end without a result. */
function stopped({ model, run }: State): Pick<State, 'model' | 'run'> {
  return {
    model: model.kind === 'loading' ? { kind: 'idle' } : model,
    run: run.kind === 'done' ? run : { kind: 'none' },
  };
}

function clamped(form: Form): Form {
  return {
    ...form,
    seed: within(Math.trunc(form.seed), LIMITS.seed),
    steps: within(Math.round(form.steps), LIMITS.steps),
    guidance: within(form.guidance, LIMITS.guidance),
  };
}

function within(value: number, { min, max }: { readonly min: number; readonly max: number }): number {
  return Number.isFinite(value) ? Math.min(max, Math.max(min, value)) : min;
}
