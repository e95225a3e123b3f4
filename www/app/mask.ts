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

export class Mask {
  readonly width: number;
  readonly height: number;
  #pixels: Uint8Array;
  #past: Uint8Array[] = [];
  #future: Uint8Array[] = [];

  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    this.#pixels = new Uint8Array(width * height);
  }

  get canUndo(): boolean {
    return this.#past.length > 0;
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
    this.#past.push(this.#pixels.slice());
    this.#future = [];
    const most = Math.max(1, Math.floor(MAX_HISTORY / Math.max(1, this.#pixels.length)));
    if (this.#past.length > most) this.#past.shift();
  }

  /** Paints or erases a line with round ends. Points count in pixels, 0 at the edge of the first. */
  stroke(from: Point, to: Point, radius: number, on: boolean): Area {
    const area = {
      left: clamp(Math.floor(Math.min(from.x, to.x) - radius), this.width),
      top: clamp(Math.floor(Math.min(from.y, to.y) - radius), this.height),
      right: clamp(Math.ceil(Math.max(from.x, to.x) + radius), this.width),
      bottom: clamp(Math.ceil(Math.max(from.y, to.y) + radius), this.height),
    };
    for (let y = area.top; y < area.bottom; y += 1) {
      for (let x = area.left; x < area.right; x += 1) {
        // The pixel under the middle of the brush is always reached.
        if (distance({ x: x + 0.5, y: y + 0.5 }, from, to) <= Math.max(radius, 0.71)) this.#pixels[y * this.width + x] = on ? 1 : 0;
      }
    }
    return area;
  }

  clear(): void {
    this.begin();
    this.#pixels.fill(0);
  }

  invert(): void {
    this.begin();
    this.#pixels = this.#pixels.map((value) => 1 - value);
  }

  undo(): void {
    const before = this.#past.pop();
    if (before === undefined) return;
    this.#future.push(this.#pixels);
    this.#pixels = before;
  }

  redo(): void {
    const after = this.#future.pop();
    if (after === undefined) return;
    this.#past.push(this.#pixels);
    this.#pixels = after;
  }

  /** RGBA of an area: `color` where it is painted, striped with `stripe`, else transparent. */
  pixels({ left, top, right, bottom }: Area, color: Color, stripe: Color = color): Uint8ClampedArray<ArrayBuffer> {
    const period = Math.ceil(Math.max(this.width, this.height) / 48);
    const out = new Uint8ClampedArray(4 * (right - left) * (bottom - top));
    let at = 0;
    for (let y = top; y < bottom; y += 1) {
      for (let x = left; x < right; x += 1) {
        if (this.has(x, y)) {
          out.set(Math.floor((x + y) / period) % 4 < 2 ? color : stripe, at);
          out[at + 3] = 255;
        }
        at += 4;
      }
    }
    return out;
  }

  get whole(): Area {
    return { left: 0, top: 0, right: this.width, bottom: this.height };
  }
}

function clamp(value: number, limit: number): number {
  return Math.min(limit, Math.max(0, value));
}

/** From a point to the line between two. */
function distance({ x, y }: Point, from: Point, to: Point): number {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - from.x) * dx + (y - from.y) * dy) / length));
  return Math.hypot(x - from.x - along * dx, y - from.y - along * dy);
}
