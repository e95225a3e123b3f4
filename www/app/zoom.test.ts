import { expect, test } from 'vitest';
import { LARGEST, panned, pinched, revealed, WHOLE, zoomed, type Zoom } from './zoom.ts';
import type { Point } from './stroke.ts';

const frame = { width: 400, height: 300 };
/** The place of the picture that is seen at a point of the frame. */
const under = ({ scale, x, y }: Zoom, at: Point): Point => ({ x: (at.x - x) / scale, y: (at.y - y) / scale });

test('what lies under the pointer stays there', () => {
  const at = { x: 130, y: 210 };
  const near = zoomed(zoomed(WHOLE, 3, { x: 20, y: 40 }, frame), 1.5, at, frame);
  expect(near.scale).toBe(4.5);
  const place = under(zoomed(WHOLE, 3, { x: 20, y: 40 }, frame), at);
  expect(under(near, at).x).toBeCloseTo(place.x);
  expect(under(near, at).y).toBeCloseTo(place.y);
});

test('it is never smaller than its frame, never too large, and never leaves it', () => {
  expect(zoomed(WHOLE, 0.1, { x: 9, y: 9 }, frame)).toEqual(WHOLE);
  expect(zoomed(WHOLE, 1e9, { x: 9, y: 9 }, frame).scale).toBe(LARGEST);
  const near = zoomed(WHOLE, 2, { x: 200, y: 150 }, frame);
  expect(panned(near, 1e6, 1e6, frame)).toEqual({ scale: 2, x: 0, y: 0 });
  expect(panned(near, -1e6, -1e6, frame)).toEqual({ scale: 2, x: -400, y: -300 });
  expect(panned(WHOLE, 50, 50, frame)).toEqual(WHOLE);
  expect(zoomed(panned(near, 1e6, 1e6, frame), 0.5, { x: 200, y: 150 }, frame)).toEqual(WHOLE);
});

test('two fingers take along what lies between them', () => {
  const from = [
    { x: 100, y: 100 },
    { x: 200, y: 100 },
  ] as const;
  const to = [
    { x: 50, y: 130 },
    { x: 250, y: 130 },
  ] as const;
  const zoom = pinched(WHOLE, from, to, frame);
  expect(zoom.scale).toBe(2);
  expect(under(zoom, { x: 150, y: 130 })).toEqual({ x: 150, y: 100 });
  const near = pinched({ scale: 2, x: -200, y: -150 }, from, to, frame);
  expect(under(near, { x: 150, y: 130 })).toEqual(under({ scale: 2, x: -200, y: -150 }, { x: 150, y: 100 }));
});

test('a point is brought into view, and one that is in view moves nothing', () => {
  const near = { scale: 4, x: -400, y: -300 };
  expect(revealed(near, { x: 200, y: 150 }, 20, frame)).toEqual(near);
  expect(revealed(near, { x: 430, y: -10 }, 20, frame)).toEqual({ scale: 4, x: -450, y: -270 });
});
