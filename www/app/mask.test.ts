import { expect, test } from 'vitest';
import { pixelsIn } from './area.ts';
import { Mask, NO_MARGINS } from './mask.ts';

/** Rows of the mask, `#` where it is painted. */
function rows(mask: Mask): string[] {
  return Array.from({ length: mask.height }, (_, y) => Array.from({ length: mask.width }, (_, x) => (mask.has(x, y) ? '#' : '.')).join(''));
}

test('a stroke is a line with round ends, inside the picture', () => {
  const mask = new Mask(8, 5);
  const areas = mask.stroke({ x: 2, y: 2.5 }, { x: 5, y: 2.5 }, 1.2, true);
  expect(rows(mask)).toEqual(['........', '.#####..', '.#####..', '.#####..', '........']);
  expect(areas).toEqual([{ left: 1, top: 1, right: 6, bottom: 4 }]);
  expect(mask.stroke({ x: 3, y: 2.5 }, { x: 4, y: 2.5 }, 1.2, true)).toEqual([]);
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

test('what was undone and painted anew can be undone again', () => {
  const mask = new Mask(2, 1);
  for (let i = 0; i < 2; i += 1) {
    mask.begin();
    mask.stroke({ x: 0.5, y: 0.5 }, { x: 0.5, y: 0.5 }, 0.4, true);
    mask.undo();
    expect(rows(mask)).toEqual(['..']);
  }
});

test('its stripes go through, whichever part is shown', () => {
  const mask = new Mask(100, 100);
  mask.invert();
  const all = mask.pixels(mask.whole, [9, 9, 9], [0, 0, 0]);
  const part = mask.pixels({ left: 33, top: 41, right: 60, bottom: 44 }, [9, 9, 9], [0, 0, 0]);
  for (let y = 0; y < 3; y += 1) {
    const from = 4 * (100 * (41 + y) + 33);
    expect(part.subarray(4 * 27 * y, 4 * 27 * (y + 1))).toEqual(all.subarray(from, from + 4 * 27));
  }
  expect(new Set(part).size).toBe(3);
});

test('its pixels are opaque where it is painted', () => {
  const mask = new Mask(2, 2);
  mask.stroke({ x: 1.5, y: 0.5 }, { x: 1.5, y: 0.5 }, 0.4, true);
  expect([...mask.pixels(mask.whole, [255, 255, 255])]).toEqual([0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0]);
  expect([...mask.pixels({ left: 1, top: 0, right: 2, bottom: 1 }, [1, 2, 3])]).toEqual([1, 2, 3, 255]);
});

test('a stroke that was meant otherwise leaves nothing behind, and nothing to take back', () => {
  const mask = new Mask(6, 1);
  mask.begin();
  mask.stroke({ x: 0.5, y: 0.5 }, { x: 0.5, y: 0.5 }, 0.4, true);
  mask.begin();
  mask.stroke({ x: 1, y: 0.5 }, { x: 4, y: 0.5 }, 1, true);
  mask.cancel();
  expect(rows(mask)).toEqual(['#.....']);
  mask.undo();
  expect([rows(mask), mask.canUndo]).toEqual([['......'], false]);
});

test('what is added to a picture is painted, with the edge beside it, and can be taken back', () => {
  const mask = new Mask(3, 2);
  mask.begin();
  mask.stroke({ x: 1.5, y: 0.5 }, { x: 1.5, y: 0.5 }, 0.4, true);
  mask.enlarge({ left: 2, top: 0, right: 0, bottom: 1 });
  expect(rows(mask)).toEqual(['####.', '#####', '#####']);
  expect(mask.margins).toEqual({ left: 2, top: 0, right: 0, bottom: 1 });
  mask.enlarge({ left: 0, top: 1, right: 1, bottom: 0 });
  expect(mask.margins).toEqual({ left: 2, top: 1, right: 1, bottom: 1 });
  mask.undo();
  mask.undo();
  expect([rows(mask), mask.margins]).toEqual([['.#.', '...'], NO_MARGINS]);
  mask.undo();
  expect(mask.painted).toBe(false);
  for (let i = 0; i < 3; i += 1) mask.redo();
  expect([mask.width, mask.height, mask.canRedo]).toEqual([6, 4, false]);
  expect(rows(mask)[0]).toBe('######');
});

test('a mask that was kept comes back as it was, with nothing to undo', () => {
  const mask = new Mask(7, 4);
  mask.stroke({ x: 1, y: 1 }, { x: 5, y: 3 }, 1, true);
  mask.enlarge({ left: 1, top: 0, right: 0, bottom: 0 });
  const again = Mask.unpack(structuredClone(mask.pack()));
  expect([rows(again), again.margins, again.canUndo]).toEqual([rows(mask), mask.margins, false]);
  again.stroke({ x: 0.5, y: 0.5 }, { x: 0.5, y: 0.5 }, 0.4, false);
  again.undo();
  expect(rows(again)).toEqual(rows(mask));
  for (const empty of [new Mask(3, 3), Mask.unpack(new Mask(3, 3).pack())]) expect(empty.painted).toBe(false);
});

test('a mask is as fine as its picture up to a limit, and grows to it', () => {
  expect([Mask.of(2048, 64), Mask.of(2049, 64), Mask.of(8000, 6000)].map(({ scale }) => scale)).toEqual([1, 2, 4]);
  const mask = Mask.of(4001, 5);
  expect([mask.width, mask.height]).toEqual([2001, 3]);
  mask.stroke({ x: 1.5, y: 1.5 }, { x: 1.5, y: 1.5 }, 0.4, true);
  const part = mask.over({ left: 1, top: 1, right: 5, bottom: 5 });
  expect(Array.from({ length: 4 }, (_, y) => [...part.subarray(4 * y, 4 * y + 4)].join(''))).toEqual(['0000', '0110', '0110', '0000']);
  expect(mask.bounds).toEqual({ left: 1, top: 1, right: 2, bottom: 2 });
});

test('on 4,000 x 4,000 pixels a move changes what the brush newly covers, however often it passes, and all of it can be taken back', () => {
  const mask = Mask.of(4000, 4000);
  const brush = 0.2 * mask.width; // a fifth of the picture, as a brush is at first
  const moves: number[] = [];
  const times: number[] = [];
  const strokes = 40;
  const painted = (): number => mask.bytes.reduce((sum, value) => sum + value, 0);
  let told = 0;
  for (let i = 0; i < strokes; i += 1) {
    mask.begin();
    const y = brush / 2 + (i * (mask.height - brush)) / strokes;
    for (let x = 200; x < 1800; x += 20) {
      const start = performance.now();
      const areas = mask.stroke({ x, y }, { x: x + 20, y: y + 7 }, brush / 2, true);
      for (const area of areas) mask.pixels(area, [1, 2, 3]);
      times.push(performance.now() - start);
      moves.push(areas.reduce((sum, area) => sum + pixelsIn(area), 0));
      told += moves.at(-1) ?? 0;
    }
  }
  times.sort((a, b) => a - b);
  console.log(`a move: ${times[times.length >> 1]?.toFixed(2)} ms in the middle, ${times.at(-1)?.toFixed(1)} ms at the most`);
  // The first dab is the brush's box, of 4,000,000 pixels; the later ones together a few times what is new, for they are told in bands.
  const [first = 0, ...later] = moves;
  expect(first).toBeLessThanOrEqual((brush + 22) * (brush + 9));
  expect(Math.max(...later)).toBeLessThanOrEqual((brush + 22) * (brush + 9));
  expect(told).toBeLessThan(5 * painted());
  expect(mask.stroke({ x: 300, y: 300 }, { x: 900, y: 300 }, brush / 2, true)).toEqual([]);
  let back = 0;
  for (; mask.canUndo; back += 1) mask.undo();
  expect(back).toBe(strokes);
  expect(mask.painted).toBe(false);
  for (let i = 0; i < strokes; i += 1) mask.redo();
  expect(mask.has(1000, 1000)).toBe(true);
});

test('how far back it goes is a matter of memory', () => {
  const steps = (memory: number): number => {
    const mask = new Mask(1000, 10, 1, memory);
    for (let i = 0; i < 100; i += 1) {
      mask.begin();
      mask.stroke({ x: 10 * i, y: 5 }, { x: 10 * i, y: 5 }, 2, true);
    }
    let back = 0;
    for (; mask.canUndo; back += 1) mask.undo();
    return back;
  };
  // A dab changes 4 x 4 pixels.
  expect([steps(1e6), steps(160)]).toEqual([100, 10]);
});
