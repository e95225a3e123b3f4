/** The painted mask: which pixels are to be drawn anew, and every state it can go back to. Pure: drawing it is the editor's. */

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Pixels that changed: from `left`, `top` to before `right`, `bottom`. */
export interface Area {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Red, green, blue. */
export type Color = readonly [number, number, number];

/** Bytes that past states may take. */
const MAX_HISTORY = 64 * 1024 * 1024;

/** What an area held. */
interface Patch {
  readonly area: Area;
  readonly pixels: Uint8Array;
}

export class Mask {
  readonly width: number;
  readonly height: number;
  #pixels: Uint8Array;
  #past: Patch[] = [];
  #future: Patch[] = [];
  /** The step that was begun last: the state before it, and what it has changed. */
  #open: { readonly before: Uint8Array; area: Area } | undefined;

  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    this.#pixels = new Uint8Array(width * height);
  }

  get canUndo(): boolean {
    return this.#past.length > 0 || this.#open !== undefined;
  }

  get canRedo(): boolean {
    return this.#future.length > 0;
  }

  get painted(): boolean {
    return this.#pixels.includes(1);
  }

  has(x: number, y: number): boolean {
    return this.#pixels[y * this.width + x] === 1;
  }

  /** Remembers the present state: what follows is one step back. */
  begin(): void {
    this.#close();
    this.#open = { before: this.#pixels.slice(), area: NOTHING };
    this.#future = [];
  }

  /** Paints or erases a line with round ends. Points count in pixels, 0 at the edge of the first. */
  stroke(from: Point, to: Point, radius: number, on: boolean): Area {
    const area = {
      left: clamp(Math.floor(Math.min(from.x, to.x) - radius), this.width),
      top: clamp(Math.floor(Math.min(from.y, to.y) - radius), this.height),
      right: clamp(Math.ceil(Math.max(from.x, to.x) + radius), this.width),
      bottom: clamp(Math.ceil(Math.max(from.y, to.y) + radius), this.height),
    };
    // The pixel under the middle of the brush is always reached.
    const reach = Math.max(radius, 0.71) ** 2;
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const length = dx * dx + dy * dy;
    for (let y = area.top; y < area.bottom; y += 1) {
      const py = y + 0.5 - from.y;
      for (let x = area.left; x < area.right; x += 1) {
        const px = x + 0.5 - from.x;
        const along = length === 0 ? 0 : Math.min(1, Math.max(0, (px * dx + py * dy) / length));
        const [ex, ey] = [px - along * dx, py - along * dy];
        if (ex * ex + ey * ey <= reach) this.#pixels[y * this.width + x] = on ? 1 : 0;
      }
    }
    this.#touch(area);
    return area;
  }

  clear(): void {
    this.begin();
    this.#pixels.fill(0);
    this.#touch(this.whole);
  }

  invert(): void {
    this.begin();
    this.#pixels = this.#pixels.map((value) => 1 - value);
    this.#touch(this.whole);
  }

  undo(): void {
    this.#close();
    const patch = this.#past.pop();
    if (patch !== undefined) this.#future.push(this.#swap(patch));
  }

  redo(): void {
    const patch = this.#future.pop();
    if (patch !== undefined) this.#past.push(this.#swap(patch));
  }

  #touch(area: Area): void {
    if (this.#open !== undefined) this.#open.area = around(this.#open.area, area);
  }

  /** Keeps of the step that was begun what it changed, and forgets the oldest where that is too much. */
  #close(): void {
    if (this.#open === undefined) return;
    const { before, area } = this.#open;
    this.#open = undefined;
    this.#past.push({ area, pixels: cut(before, this.width, area) });
    let bytes = this.#past.reduce((sum, { pixels }) => sum + pixels.length, 0);
    while (bytes > MAX_HISTORY && this.#past.length > 1) bytes -= this.#past.shift()?.pixels.length ?? 0;
  }

  /** Puts a patch in its place; what was there is the way back. */
  #swap({ area, pixels }: Patch): Patch {
    const back = { area, pixels: cut(this.#pixels, this.width, area) };
    const wide = Math.max(0, area.right - area.left);
    for (let y = area.top; y < area.bottom; y += 1) {
      const row = (y - area.top) * wide;
      this.#pixels.set(pixels.subarray(row, row + wide), y * this.width + area.left);
    }
    return back;
  }

  /** RGBA of an area: `color` where it is painted, striped with `stripe`, else transparent. */
  pixels({ left, top, right, bottom }: Area, color: Color, stripe: Color = color): Uint8ClampedArray<ArrayBuffer> {
    const period = Math.ceil(Math.max(this.width, this.height) / 48);
    const words = new Uint32Array(Math.max(0, right - left) * Math.max(0, bottom - top));
    const [plain, striped] = [wordOf(color), wordOf(stripe)];
    let at = 0;
    for (let y = top; y < bottom; y += 1) {
      for (let x = left; x < right; x += 1, at += 1) {
        if (this.#pixels[y * this.width + x] === 1) words[at] = Math.floor((x + y) / period) % 4 < 2 ? plain : striped;
      }
    }
    return new Uint8ClampedArray(words.buffer);
  }

  get whole(): Area {
    return { left: 0, top: 0, right: this.width, bottom: this.height };
  }
}

function clamp(value: number, limit: number): number {
  return Math.min(limit, Math.max(0, value));
}

const NOTHING: Area = { left: Infinity, top: Infinity, right: 0, bottom: 0 };

/** The least area with both in it. */
function around(a: Area, b: Area): Area {
  return {
    left: Math.min(a.left, b.left),
    top: Math.min(a.top, b.top),
    right: Math.max(a.right, b.right),
    bottom: Math.max(a.bottom, b.bottom),
  };
}

/** The rows of an area, one after the other. */
function cut(pixels: Uint8Array, width: number, { left, top, right, bottom }: Area): Uint8Array {
  const wide = Math.max(0, right - left);
  const out = new Uint8Array(wide * Math.max(0, bottom - top));
  for (let y = top; y < bottom; y += 1) out.set(pixels.subarray(y * width + left, y * width + right), (y - top) * wide);
  return out;
}

/** An opaque colour as four bytes in the platform's order. */
function wordOf([red, green, blue]: Color): number {
  return new Uint32Array(Uint8Array.of(red, green, blue, 255).buffer)[0] ?? 0;
}
