/** What the reader fills in, what the controls offer of it, and the run that it asks for. */

import { RANGES, type GenerateOptions, type Solver } from 'diffcr-web';

export interface Form {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
  /** A preset of the model, `off`, or a share as a number; of no account where the model has no routers. */
  readonly compression: string;
  /** The model's own where undefined. */
  readonly solver?: Solver | undefined;
  /** Of the picture, as `192x128`; the model's own where undefined. */
  readonly size?: string | undefined;
}

/** Sides in pixels. */
export interface Sides {
  readonly width: number;
  readonly height: number;
}

/** Sides as a form has them. */
export function sizeText({ width, height }: Sides): string {
  return `${width}x${height}`;
}

/** The sides that a form's size says; undefined where it is none. */
export function sidesOf(size: string | undefined): Sides | undefined {
  const [, width, height] = /^(\d{1,5})x(\d{1,5})$/.exec(size ?? '') ?? [];
  return width === undefined || height === undefined ? undefined : { width: Number(width), height: Number(height) };
}

/** Sizes that are worth offering of a model: its own, and half as much again along either side or both. */
export function sizesOf({ width, height, sideMultiple }: Sides & { readonly sideMultiple: number }): (Sides & { readonly name: string })[] {
  const more = (side: number): number => Math.ceil((1.5 * side) / sideMultiple) * sideMultiple;
  return [
    { width, height, name: "the model's own" },
    { width: more(width), height, name: 'wide' },
    { width, height: more(height), name: 'tall' },
    { width: more(width), height: more(height), name: 'large' },
  ];
}

/** What the controls offer: the options' ranges, or the part of them that is worth a slider. */
export const LIMITS = {
  steps: { ...RANGES.steps, max: 50 },
  guidance: { ...RANGES.guidance, min: 1, max: 10, step: 0.5 },
  /** Share of the tokens that layers skip. */
  skip: RANGES.compression,
  /** In percent. */
  strength: { min: 5, max: 100 * RANGES.strength.max, step: 5 },
  /** Width of the soft edge, in percent of the picture's longer side. */
  feather: { min: 0, max: 20, step: 0.5 },
  /** Width of the brush, in percent of the picture's longer side. */
  size: { min: 0.5, max: 60, step: 0.5 },
  /** Fits a number exactly, and an input field. */
  seed: { min: 0, max: 2 ** 32 - 1, step: 1 },
} as const;

/** Any seed that the field takes. */
export function anySeed(): number {
  return Math.floor(Math.random() * (LIMITS.seed.max + 1));
}

/** A compression that is a number; undefined for a name. */
export function shareOf(compression: string): number | undefined {
  const share = compression.trim() === '' ? Number.NaN : Number(compression);
  return Number.isFinite(share) ? within(share, RANGES.compression) : undefined;
}

/** Steps that a change of strength `strength`, in percent, runs. */
export function stepsRun(steps: number, strength: number): number {
  return Math.floor((steps * strength) / 100);
}

/** Why a change runs no step at all; undefined where it runs some. */
export function whyIdle(steps: number, strength: number): string | undefined {
  if (stepsRun(steps, strength) >= 1) return undefined;
  return `${steps === 1 ? '1 step runs' : `${steps} steps run`} none at a strength of ${strength} %: raise one of them.`;
}

/** The soft edge in pixels of a picture; `feather` in percent of its longer side. */
export function featherOf(feather: number, { width, height }: Sides): number {
  return Math.min(MOST_FEATHER, Math.round((feather / 100) * Math.max(width, height)));
}

/** The soft edge that an edit of a picture begins with: a large one is drawn smaller than it is, and its edges are seen. */
export function firstFeather({ width, height }: Sides): number {
  return Math.max(width, height) > 1024 ? 1 : 0;
}

/** What the engine fades over, at the most. */
const MOST_FEATHER = 1024;

/** The options of the run that a form asks for. */
export function optionsOf({ compression, solver, size, ...form }: Form): GenerateOptions {
  return { ...form, compression: shareOf(compression) ?? compression, ...(solver === undefined ? {} : { solver }), ...sidesOf(size) };
}

/** The form with every number inside its limits. */
export function clamped(form: Form): Form {
  return {
    ...form,
    seed: within(Math.trunc(form.seed), LIMITS.seed),
    steps: within(Math.round(form.steps), LIMITS.steps),
    guidance: within(form.guidance, LIMITS.guidance),
  };
}

export function within(value: number, { min, max }: { readonly min: number; readonly max: number }): number {
  return Number.isFinite(value) ? Math.min(max, Math.max(min, value)) : min;
}
