import { expect, test } from 'vitest';
import { spanOf, type Point } from './stroke.ts';

/** Whether the middle of a pixel is near enough to the line, by its distance. */
function isNear(x: number, y: number, from: Point, to: Point, radius: number): boolean {
  const [dx, dy, px, py] = [to.x - from.x, to.y - from.y, x + 0.5 - from.x, y + 0.5 - from.y];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : Math.min(1, Math.max(0, (px * dx + py * dy) / length));
  return Math.hypot(px - along * dx, py - along * dy) <= radius;
}

test('spans are the pixels whose middle is near enough, whichever way the line goes', () => {
  let [seed, painted] = [1, 0];
  const random = (): number => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let i = 0; i < 60; i += 1) {
    const from = { x: 40 * random(), y: 40 * random() };
    const to = i % 6 === 0 ? from : { x: i % 6 === 1 ? from.x : 40 * random(), y: i % 6 === 2 ? from.y : 40 * random() };
    const radius = 0.3 + 9 * random();
    for (let y = -12; y < 52; y += 1) {
      const columns = Array.from({ length: 64 }, (_, x) => x - 12).filter((x) => isNear(x, y, from, to, radius));
      const span = spanOf(y, from, to, radius);
      const found = span === undefined ? [] : Array.from({ length: span[1] - span[0] }, (_, x) => span[0] + x);
      expect(found, `line ${i}, row ${y}`).toEqual(columns);
      painted += columns.length;
    }
  }
  expect(painted).toBeGreaterThan(1000);
});
