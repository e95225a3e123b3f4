/** What callers pass, checked and copied before a call returns: unknown names, wrong kinds and numbers out of range are refused by name. */

import { INPAINT_KEYS, MAX_SIDE, RANGES, REQUEST_KEYS, SOLVERS, type MaskFrom, type OptionRange } from './contract.ts';
import { DiffCRError } from './errors.ts';
import type { Progress } from './progress.ts';
import type { InpaintSettings, RunPhase, RunRequest, Step, Tensor } from './protocol.ts';

/** What a call does while another runs: it waits, it takes the other's place, or it is refused. */
export type Busy = 'queue' | 'replace' | 'reject';

const BUSY: readonly Busy[] = ['queue', 'replace', 'reject'];

/** Options of a run that the page keeps to itself. */
const CALL_KEYS = ['previewEvery', 'returnLatents', 'signal', 'onStep', 'onPhase', 'onLoad', 'busy'] as const;

/** The most pictures of one call. */
const MAX_COUNT = 64;

/** A whole number that is no option of the engine's. */
const whole = (name: string, min: number, max: number): OptionRange => ({ name, min, max, step: 1, integer: true, default: min });

const NUMBERS: Readonly<Record<string, OptionRange>> = {
  ...RANGES,
  seed: whole('seed', 0, Number.MAX_SAFE_INTEGER),
  width: whole('width', 1, MAX_SIDE),
  height: whole('height', 1, MAX_SIDE),
  previewEvery: whole('previewEvery', 0, Number.MAX_SAFE_INTEGER),
  count: whole('count', 1, MAX_COUNT),
};
const TEXTS: readonly string[] = ['prompt', 'negativePrompt'];
const FLAGS: readonly string[] = ['returnRouting', 'returnLatents', 'cropToMask'];
const TENSORS: readonly string[] = [
  'latents',
  'promptEmbeds',
  'negativePromptEmbeds',
  'promptAttentionMask',
  'negativePromptAttentionMask',
];
const MASK_FROM: readonly MaskFrom[] = ['lightness', 'alpha'];
const MASK_AWARE = ['ring', 'refresh', 'minSteps', 'maxActive'] as const;

/** The options of a run as they were when it was asked for. */
export interface RunOptions {
  readonly request: RunRequest;
  readonly edit: InpaintSettings;
  readonly previewEvery: number;
  readonly returnLatents: boolean;
  readonly busy: Busy;
  readonly count: number;
  readonly signal: AbortSignal | undefined;
  readonly onStep: ((step: Step) => void) | undefined;
  readonly onPhase: ((phase: RunPhase) => void) | undefined;
  readonly onLoad: ((progress: Progress) => void) | undefined;
}

/** Of a call that takes the names `extra` too, which are looked at elsewhere. */
export function readRunOptions(options: unknown, extra: readonly string[] = []): RunOptions {
  const given = readObject('options', options, [...REQUEST_KEYS, ...CALL_KEYS, ...extra]);
  const request = pick(given, REQUEST_KEYS);
  if (request['seed'] === undefined) request['seed'] = Math.floor(Math.random() * 2 ** 32);
  const { signal, onStep, onPhase, onLoad, busy = 'queue', previewEvery = 0, returnLatents = false, count = 1 } = given;
  return {
    request: request,
    edit: extra.includes('image') ? pick(given, INPAINT_KEYS) : {},
    previewEvery: checkNumber('previewEvery', previewEvery),
    returnLatents: checkValue('returnLatents', returnLatents) as boolean,
    busy: checkWord('busy', busy, BUSY),
    count: checkNumber('count', count),
    signal: checkSignal(signal),
    onStep: checkFunction('onStep', onStep) as RunOptions['onStep'],
    onPhase: checkFunction('onPhase', onPhase) as RunOptions['onPhase'],
    onLoad: checkFunction('onLoad', onLoad) as RunOptions['onLoad'],
  };
}

/** An object of which every name is known; the nearest known one is told otherwise. Undefined is an empty one. */
export function readObject(field: string, value: unknown, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(field, `${shown(value)} is no object of options`);
  for (const [name, given] of Object.entries(value)) {
    if (given === undefined || known.includes(name)) continue;
    const near = nearest(name, known);
    const hint = near === undefined ? '' : `, did you mean ${JSON.stringify(near)}?`;
    throw invalid(
      field === 'options' ? name : `${field}.${name}`,
      `there is no such option${hint}`,
      near === undefined ? {} : { nearest: near },
    );
  }
  return value as Readonly<Record<string, unknown>>;
}

/** Those of `keys` that are not undefined, each checked and copied. */
function pick(given: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> {
  const entries = keys.filter((key) => given[key] !== undefined).map((key) => [key, checkValue(key, given[key])]);
  return Object.fromEntries(entries) as Record<string, unknown>;
}

function checkValue(name: string, value: unknown): unknown {
  if (name === 'compression' && typeof value === 'string') return value;
  if (name in NUMBERS) return checkNumber(name, value);
  if (TEXTS.includes(name)) {
    if (typeof value !== 'string') throw invalid(name, `${shown(value)} is no text`);
    return value;
  }
  if (FLAGS.includes(name)) {
    if (typeof value !== 'boolean') throw invalid(name, `${shown(value)} is not true or false`);
    return value;
  }
  if (TENSORS.includes(name)) return copyTensor(name, value);
  if (name === 'solver') return checkWord(name, value, SOLVERS);
  if (name === 'maskFrom') return checkWord(name, value, MASK_FROM);
  if (name === 'maskAware') return typeof value === 'boolean' ? value : copyMaskAware(value);
  throw new DiffCRError('INTERNAL', `nothing is known of the option ${name}`);
}

export function checkNumber(name: string, value: unknown): number {
  const { min, max, integer } = NUMBERS[name] ?? whole(name, 0, Number.MAX_SAFE_INTEGER);
  const fits = typeof value === 'number' && value >= min && value <= max && (!integer || Number.isInteger(value));
  if (!fits) throw invalid(name, `${shown(value)} is not a ${integer ? 'whole ' : ''}number in ${min} … ${max}`);
  return value;
}

export function checkWord<T extends string>(name: string, value: unknown, words: readonly T[]): T {
  const word = words.find((each) => each === value);
  if (word !== undefined) return word;
  const near = typeof value === 'string' ? nearest(value, words) : undefined;
  const list = words.map((each) => `'${each}'`).join(', ');
  throw invalid(name, `${shown(value)} is none of ${list}`, near === undefined ? {} : { nearest: near });
}

export function checkFunction(name: string, value: unknown): ((...args: never[]) => unknown) | undefined {
  if (value === undefined || typeof value === 'function') return value as ReturnType<typeof checkFunction>;
  throw invalid(name, `${shown(value)} is no function`);
}

/** An `AbortSignal` of any realm. */
export function checkSignal(value: unknown): AbortSignal | undefined {
  if (value === undefined) return undefined;
  const has = (name: string, type: string): boolean =>
    typeof value === 'object' && value !== null && typeof Reflect.get(value, name) === type;
  if (has('aborted', 'boolean') && has('addEventListener', 'function')) return value as AbortSignal;
  throw invalid('signal', `${shown(value)} is no AbortSignal`);
}

/** A copy that is no proxy and shares no memory. */
export function copyTensor(name: string, value: unknown): Tensor {
  const { shape, data } = readObject(name, value ?? null, ['shape', 'data']) as { shape: unknown; data: unknown };
  const sides = numbers(shape);
  const values = numbers(data);
  if (sides === undefined || !Array.from(sides).every((side) => Number.isSafeInteger(side) && side >= 0)) {
    throw invalid(name, 'its shape is no array of whole numbers');
  }
  if (values === undefined) throw invalid(name, 'its data are no array of numbers');
  return { shape: Array.from(sides), data: Float32Array.from(values) };
}

function copyMaskAware(value: unknown): object {
  const given = readObject('maskAware', value, MASK_AWARE);
  const names = MASK_AWARE.filter((name) => given[name] !== undefined);
  return Object.fromEntries(names.map((name) => [name, checkNumber(`maskAware.${name}`, given[name])]));
}

/** By index, for a proxy around a typed array refuses to be iterated. */
function numbers(value: unknown): ArrayLike<number> | undefined {
  const list = value as ArrayLike<unknown> | null | undefined;
  if (ArrayBuffer.isView(value) && 'length' in value) return value as unknown as ArrayLike<number>;
  if (typeof list !== 'object' || list === null || !Number.isSafeInteger(list.length)) return undefined;
  const copy = Array.from({ length: list.length }, (_, i) => list[i]);
  return copy.every((each): each is number => typeof each === 'number') ? copy : undefined;
}

export function invalid(field: string, reason: string, details: object = {}, cause?: unknown): DiffCRError {
  return new DiffCRError('INVALID_INPUT', `${field}: ${reason}`, { field, reason, ...details }, cause);
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}

/** The known word that is at most a third of its letters away; undefined where none is. */
function nearest(word: string, known: readonly string[]): string | undefined {
  const ranked = known.map((each) => ({ each, distance: editDistance(word.toLowerCase(), each.toLowerCase()) }));
  const best = ranked.sort((a, b) => a.distance - b.distance)[0];
  return best !== undefined && best.distance <= Math.max(1, Math.floor(best.each.length / 3)) ? best.each : undefined;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
