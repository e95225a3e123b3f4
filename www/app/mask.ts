/** The painted mask: which pixels are to be drawn anew, and every state it can go back to. Pure: drawing it is the editor's. */

import { around, cut, isEmpty, NOTHING, put, type Area } from './area.ts';
import { spanOf, type Point } from './stroke.ts';
import { Undo } from './undo.ts';

/** Red, green, blue. */
export type Color = readonly [number, number, number];

/** What was added to a picture on each side, in pixels. */
export interface Margins {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export const NO_MARGINS: Margins = { left: 0, top: 0, right: 0, bottom: 0 };

/** A mask as it is kept: the lengths of what is not painted and what is, in turn, row after row. */
export interface PackedMask {
  readonly width: number;
  readonly height: number;
  readonly scale: number;
  readonly margins: Margins;
  readonly runs: Uint32Array;
}

/** Bytes that past states may take. */
const MAX_HISTORY = 64 * 1024 * 1024;
/** Rows whose changes are told together. */
const BAND = 32;
/** Pixels along the longer side, at the most: a screen shows no more, and what is drawn is coarser. */
export const FINEST = 2048;

/** What an area held, or the whole mask where its size was another one. */
type Step =
  | { readonly kind: 'part'; readonly area: Area; readonly pixels: Uint8Array; readonly bytes: number }
  | { readonly kind: 'whole'; readonly state: Whole; readonly bytes: number };

interface Whole {
  readonly width: number;
  readonly height: number;
  readonly margins: Margins;
  readonly pixels: Uint8Array;
}

/** Pixels of a picture, along one side, for one of its mask. */
function coarseness(width: number, height: number): number {
  return Math.max(1, Math.ceil(Math.max(width, height) / FINEST));
}

export class Mask {
  /** Pixels of the picture, along one side, for one of the mask. */
  readonly scale: number;
  #width: number;
  #height: number;
  #margins = NO_MARGINS;
  #pixels: Uint8Array;
  /** The pixels as they were before the step that is under way. */
  #before: Uint8Array;
  /** What that step has changed. */
  #dirty = NOTHING;
  readonly #undo: Undo<Step>;

  constructor(width: number, height: number, scale = 1, memory = MAX_HISTORY) {
    this.scale = scale;
    this.#width = width;
    this.#height = height;
    this.#pixels = new Uint8Array(width * height);
    this.#before = new Uint8Array(width * height);
    this.#undo = new Undo(memory);
  }

  /** For a picture of that size. */
  static of(width: number, height: number): Mask {
    const scale = coarseness(width, height);
    return new Mask(Math.ceil(width / scale), Math.ceil(height / scale), scale);
  }

  static unpack({ width, height, scale, margins, runs }: PackedMask): Mask {
    const mask = new Mask(width, height, scale);
    mask.#margins = margins;
    let at = 0;
    for (const [i, run] of runs.entries()) {
      if (i % 2 === 1) mask.#pixels.fill(1, at, at + run);
      at += run;
    }
    mask.#before.set(mask.#pixels);
    return mask;
  }

  get width(): number {
    return this.#width;
  }

  get height(): number {
    return this.#height;
  }

  /** By how much it was enlarged. */
  get margins(): Margins {
    return this.#margins;
  }

  get isEnlarged(): boolean {
    const { left, top, right, bottom } = this.#margins;
    return left + top + right + bottom > 0;
  }

  get canUndo(): boolean {
    return this.#undo.canUndo || !isEmpty(this.#dirty);
  }

  get canRedo(): boolean {
    return this.#undo.canRedo && isEmpty(this.#dirty);
  }

  get painted(): boolean {
    return this.#pixels.includes(1);
  }

  get whole(): Area {
    return { left: 0, top: 0, right: this.#width, bottom: this.#height };
  }

  /** A byte a pixel, row after row: 1 where it is painted. */
  get bytes(): Uint8Array {
    return this.#pixels;
  }

  /** The least area with everything in it that is painted. */
  get bounds(): Area {
    let area = NOTHING;
    for (let y = 0; y < this.#height; y += 1) {
      const row = this.#pixels.subarray(y * this.#width, (y + 1) * this.#width);
      const left = row.indexOf(1);
      if (left >= 0) area = around(area, { left, top: y, right: row.lastIndexOf(1) + 1, bottom: y + 1 });
    }
    return area;
  }

  has(x: number, y: number): boolean {
    return this.#pixels[y * this.#width + x] === 1;
  }

  /** Begins a step: what follows, up to the next one, is taken back at once. */
  begin(): void {
    if (isEmpty(this.#dirty)) return;
    const area = this.#dirty;
    const pixels = cut(this.#before, this.#width, area);
    this.#undo.push({ kind: 'part', area, pixels, bytes: pixels.length });
    put(this.#before, this.#width, area, cut(this.#pixels, this.#width, area));
    this.#dirty = NOTHING;
  }

  /** Takes back the step that is under way, for good. Gives what changed. */
  cancel(): Area {
    const area = this.#dirty;
    if (!isEmpty(area)) put(this.#pixels, this.#width, area, cut(this.#before, this.#width, area));
    this.#dirty = NOTHING;
    return area;
  }

  /** Paints or erases a line with round ends. Gives what changed by it, in bands of rows: what a moved brush adds is a thin crescent. */
  stroke(from: Point, to: Point, radius: number, on: boolean): Area[] {
    // The pixel under the middle of the brush is always reached.
    const reach = Math.max(radius, 0.71);
    const [old, fresh] = on ? [0, 1] : [1, 0];
    const first = Math.max(0, Math.floor(Math.min(from.y, to.y) - reach));
    const end = Math.min(this.#height, Math.ceil(Math.max(from.y, to.y) + reach));
    const bands: Area[] = [];
    for (let y = first; y < end; y += 1) {
      const span = spanOf(y, from, to, reach);
      if (span === undefined) continue;
      const row = y * this.#width;
      const columns = this.#pixels.subarray(row + Math.max(0, span[0]), row + Math.max(0, Math.min(this.#width, span[1])));
      const [left, right] = [columns.indexOf(old), columns.lastIndexOf(old) + 1];
      if (left < 0) continue;
      columns.fill(fresh, left, right);
      const start = Math.max(0, span[0]);
      const area = { left: start + left, top: y, right: start + right, bottom: y + 1 };
      const band = bands.at(-1);
      if (band === undefined || y - band.top >= BAND) bands.push(area);
      else bands[bands.length - 1] = around(band, area);
      this.#dirty = around(this.#dirty, area);
    }
    return bands;
  }

  clear(): void {
    this.begin();
    if (!this.painted) return;
    this.#pixels.fill(0);
    this.#dirty = this.whole;
  }

  invert(): void {
    this.begin();
    for (let i = 0; i < this.#pixels.length; i += 1) this.#pixels[i] = 1 - (this.#pixels[i] ?? 0);
    this.#dirty = this.whole;
  }

  /** Adds pixels on each side. They are painted, and the edge beside them too, so that no seam is left. */
  enlarge({ left, top, right, bottom }: Margins): void {
    this.begin();
    const now = this.#whole();
    const inside: Area = { left, top, right: left + now.width, bottom: top + now.height };
    const width = inside.right + right;
    const pixels = new Uint8Array(width * (inside.bottom + bottom)).fill(1);
    put(pixels, width, inside, now.pixels);
    const edge = (here: number, from: number, to: number): void => {
      if (here === 0) return;
      for (let y = inside.top; y < inside.bottom; y += 1) pixels.fill(1, y * width + from, y * width + to);
    };
    edge(left, inside.left, inside.left + 1);
    edge(right, inside.right - 1, inside.right);
    if (top > 0) pixels.fill(1, inside.top * width, (inside.top + 1) * width);
    if (bottom > 0) pixels.fill(1, (inside.bottom - 1) * width, inside.bottom * width);
    const { margins: before } = now;
    const margins = {
      left: before.left + left,
      top: before.top + top,
      right: before.right + right,
      bottom: before.bottom + bottom,
    };
    this.#undo.push({ kind: 'whole', state: now, bytes: now.pixels.length });
    this.#become({ width, height: inside.bottom + bottom, margins, pixels });
  }

  undo(): void {
    this.begin();
    this.#undo.undo((step) => this.#swap(step));
  }

  redo(): void {
    if (this.canRedo) this.#undo.redo((step) => this.#swap(step));
  }

  /** Puts a step in its place; what was there is the way back. */
  #swap(step: Step): Step {
    if (step.kind === 'whole') {
      const now = this.#whole();
      this.#become(step.state);
      return { kind: 'whole', state: now, bytes: now.pixels.length };
    }
    const pixels = cut(this.#pixels, this.#width, step.area);
    for (const each of [this.#pixels, this.#before]) put(each, this.#width, step.area, step.pixels);
    return { ...step, pixels };
  }

  #whole(): Whole {
    return { width: this.#width, height: this.#height, margins: this.#margins, pixels: this.#pixels };
  }

  #become({ width, height, margins, pixels }: Whole): void {
    this.#width = width;
    this.#height = height;
    this.#margins = margins;
    this.#pixels = pixels;
    this.#before = pixels.slice();
  }

  /** RGBA of an area: `color` where it is painted, striped with `stripe`, else transparent. */
  pixels({ left, top, right, bottom }: Area, color: Color, stripe: Color = color): Uint8ClampedArray<ArrayBuffer> {
    const period = Math.ceil(Math.max(this.#width, this.#height) / 48);
    const words = new Uint32Array(Math.max(0, right - left) * Math.max(0, bottom - top));
    const [plain, striped] = [wordOf(color), wordOf(stripe)];
    // The stripes of one row, of which every row is a part.
    const across = Uint32Array.from({ length: 4 * period + Math.max(0, right - left) }, (_, i) =>
      Math.floor(i / period) % 4 < 2 ? plain : striped,
    );
    let at = 0;
    for (let y = top; y < bottom; y += 1) {
      const [row, shift] = [y * this.#width, ((left + y) % (4 * period)) - left];
      for (let x = left; x < right; x += 1, at += 1) if (this.#pixels[row + x] === 1) words[at] = across[shift + x] ?? 0;
    }
    return new Uint8ClampedArray(words.buffer);
  }

  /** Of the part `area` of its picture, a byte a pixel: 1 where it is painted. */
  over({ left, top, right, bottom }: Area): Uint8Array {
    const wide = Math.max(0, right - left);
    const out = new Uint8Array(wide * Math.max(0, bottom - top));
    const columns = Uint32Array.from({ length: wide }, (_, x) => Math.floor((left + x) / this.scale));
    for (let y = top; y < bottom; y += 1) {
      const [row, at] = [Math.floor(y / this.scale) * this.#width, (y - top) * wide];
      if (y > top && y % this.scale !== 0) out.copyWithin(at, at - wide, at);
      else for (let x = 0; x < wide; x += 1) out[at + x] = this.#pixels[row + (columns[x] ?? 0)] ?? 0;
    }
    return out;
  }

  pack(): PackedMask {
    const runs: number[] = [];
    const { length } = this.#pixels;
    for (let at = 0, value = 0; at < length; value = 1 - value) {
      const next = this.#pixels.indexOf(1 - value, at);
      const end = next < 0 ? length : next;
      runs.push(end - at);
      at = end;
    }
    return { width: this.#width, height: this.#height, scale: this.scale, margins: this.#margins, runs: Uint32Array.from(runs) };
  }
}

/** An opaque colour as four bytes in the platform's order. */
function wordOf([red, green, blue]: Color): number {
  return new Uint32Array(Uint8Array.of(red, green, blue, 255).buffer)[0] ?? 0;
}
