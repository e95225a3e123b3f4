import { expect, test } from 'vitest';
import { Mask } from './mask.ts';

/** Rows of the mask, `#` where it is painted. */
function rows(mask: Mask): string[] {
  return Array.from({ length: mask.height }, (_, y) => Array.from({ length: mask.width }, (_, x) => (mask.has(x, y) ? '#' : '.')).join(''));
}

test('a stroke is a line with round ends, inside the picture', () => {
  const mask = new Mask(8, 5);
  const area = mask.stroke({ x: 2, y: 2.5 }, { x: 5, y: 2.5 }, 1.2, true);
  expect(rows(mask)).toEqual(['........', '.#####..', '.#####..', '.#####..', '........']);
  expect(area).toEqual({ left: 0, top: 1, right: 7, bottom: 4 });
  mask.stroke({ x: -5, y: -5 }, { x: 20, y: 20 }, 1, true);
  expect(mask.has(0, 0)).toBe(true);
});

test('a click paints at least the pixel under it', () => {
  const mask = new Mask(3, 3);
  mask.stroke({ x: 1.2, y: 1.8 }, { x: 1.2, y: 1.8 }, 0.1, true);
  expect(rows(mask)).toEqual(['...', '.#.', '...']);
});

test('every change can be undone and done again, until something new is painted', () => {
  const mask = new Mask(2, 1);
  const dot = (x: number, on = true): void => {
    mask.begin();
    mask.stroke({ x: x + 0.5, y: 0.5 }, { x: x + 0.5, y: 0.5 }, 0.4, on);
  };
  expect([mask.painted, mask.canUndo, mask.canRedo]).toEqual([false, false, false]);
  dot(0);
  mask.invert();
  expect(rows(mask)).toEqual(['.#']);
  mask.clear();
  expect(mask.painted).toBe(false);
  mask.undo();
  mask.undo();
  expect(rows(mask)).toEqual(['#.']);
  mask.redo();
  expect(rows(mask)).toEqual(['.#']);
  dot(1, false);
  expect([mask.painted, mask.canRedo]).toEqual([false, false]);
  mask.undo();
  mask.undo();
  mask.undo();
  mask.undo();
  expect([rows(mask), mask.canUndo]).toEqual([['..'], false]);
});

test('its pixels are opaque where it is painted', () => {
  const mask = new Mask(2, 2);
  mask.stroke({ x: 1.5, y: 0.5 }, { x: 1.5, y: 0.5 }, 0.4, true);
  expect([...mask.pixels(mask.whole, [255, 255, 255])]).toEqual([0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0]);
  expect([...mask.pixels({ left: 1, top: 0, right: 2, bottom: 1 }, [1, 2, 3])]).toEqual([1, 2, 3, 255]);
});

test('on 4,000 x 4,000 pixels twenty strokes can be taken back', () => {
  const mask = new Mask(4000, 4000);
  const times: number[] = [];
  for (let i = 0; i < 20; i += 1) {
    mask.begin();
    for (let move = 0; move < 3; move += 1) {
      const start = performance.now();
      const area = mask.stroke({ x: 500 + 100 * i, y: 900 }, { x: 510 + 100 * i, y: 930 }, 400, true);
      mask.pixels(area, [1, 2, 3]);
      times.push(performance.now() - start);
    }
  }
  times.sort((a, b) => a - b);
  console.log(`a move over 4,000 x 4,000 pixels: ${times[30]?.toFixed(1)} ms in the middle`);
  let back = 0;
  for (; mask.canUndo; back += 1) mask.undo();
  expect(back).toBe(20);
  expect(mask.painted).toBe(false);
  for (let i = 0; i < 20; i += 1) mask.redo();
  expect(mask.has(2400, 900)).toBe(true);
});
