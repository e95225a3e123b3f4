/** The pixels of a brush's stroke, row by row: a line with round ends. Points count in pixels, 0 at the edge of the first. */

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Numbers from the first to the second. */
type Interval = readonly [number, number];

/** The columns of row `y` whose middle is at most `radius` from the line, from the first to before the second; undefined where there are none. */
export function spanOf(y: number, from: Point, to: Point, radius: number): Interval | undefined {
  const middle = y + 0.5;
  const parts = [disc(middle, from, radius), disc(middle, to, radius), band(middle, from, to, radius)].filter((part) => part !== undefined);
  // A line with round ends is convex: what it has of a row is in one piece.
  if (parts.length === 0) return undefined;
  const first = Math.ceil(Math.min(...parts.map(([start]) => start)) - 0.5);
  const last = Math.floor(Math.max(...parts.map(([, end]) => end)) - 0.5);
  return last < first ? undefined : [first, last + 1];
}

function disc(y: number, middle: Point, radius: number): Interval | undefined {
  const left = radius * radius - (y - middle.y) ** 2;
  return left < 0 ? undefined : [middle.x - Math.sqrt(left), middle.x + Math.sqrt(left)];
}

/** What lies beside the line, between its ends. */
function band(y: number, from: Point, to: Point, radius: number): Interval | undefined {
  const [dx, dy, py] = [to.x - from.x, to.y - from.y, y - from.y];
  const length = dx * dx + dy * dy;
  if (length === 0) return undefined;
  const along = between(dx, -py * dy, length - py * dy);
  const across = between(dy, py * dx - radius * Math.sqrt(length), py * dx + radius * Math.sqrt(length));
  if (along === undefined || across === undefined) return undefined;
  const [start, end] = [Math.max(along[0], across[0]), Math.min(along[1], across[1])];
  return start > end ? undefined : [from.x + start, from.x + end];
}

/** The numbers of which `factor` times as much lies between `low` and `high`. */
function between(factor: number, low: number, high: number): Interval | undefined {
  if (factor === 0) return low <= 0 && high >= 0 ? [-Infinity, Infinity] : undefined;
  return factor > 0 ? [low / factor, high / factor] : [high / factor, low / factor];
}
