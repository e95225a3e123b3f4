import { expect, test } from 'vitest';
import { Gestures, shareOf, type Contact } from './gestures.ts';

function hand(): { log: string[]; gestures: Gestures } {
  const log: string[] = [];
  const at = ({ x, y }: { x: number; y: number }): string => `${x},${y}`;
  const gestures = new Gestures({
    begin: () => void log.push('begin'),
    paint: (place, share) => void log.push(`paint ${at(place)} ${share}`),
    end: () => void log.push('end'),
    cancel: () => void log.push('cancel'),
    pinch: (from, to) => void log.push(`pinch ${from.map(at).join(' ')} to ${to.map(at).join(' ')}`),
    pan: (dx, dy) => void log.push(`pan ${dx},${dy}`),
  });
  return { log, gestures };
}

const touch = (id: number, x: number, y: number): Contact => ({ id, x, y, type: 'touch', button: 0, pressure: 1 });
const mouse = (x: number, y: number, button = 0): Contact => ({ id: 1, x, y, type: 'mouse', button, pressure: 0.5 });
const pen = (x: number, y: number, pressure: number): Contact => ({ id: 2, x, y, type: 'pen', button: 0, pressure });

test('one finger paints; a second one takes the dab back and both move the picture', () => {
  const { log, gestures } = hand();
  gestures.down(touch(1, 10, 10));
  gestures.move(touch(1, 14, 10));
  gestures.down(touch(2, 50, 10));
  gestures.move(touch(2, 60, 10));
  gestures.up(2);
  expect(gestures.kind).toBe('spent');
  gestures.move(touch(1, 90, 90)); // the finger that is left does not paint
  gestures.up(1);
  gestures.down(touch(3, 1, 1));
  gestures.up(3);
  expect(log).toEqual([
    'begin',
    'paint 10,10 1',
    'paint 14,10 1',
    'cancel',
    'pinch 14,10 50,10 to 14,10 60,10',
    'begin',
    'paint 1,1 1',
    'end',
  ]);
});

test('a stroke that is there stays when a second finger comes down', () => {
  const { log, gestures } = hand();
  gestures.down(touch(1, 10, 10));
  gestures.move(touch(1, 80, 10));
  gestures.down(touch(2, 50, 50));
  expect(log.at(-1)).toBe('end');
  gestures.down(touch(3, 60, 60));
  gestures.move(touch(3, 99, 99));
  expect(log.at(-1)).toBe('end');
});

test('a pen paints with its pressure, and the hand beside it does not count', () => {
  const { log, gestures } = hand();
  gestures.down(pen(5, 5, 0.25));
  expect(gestures.down(touch(7, 90, 90))).toBe(false);
  gestures.move(touch(7, 80, 80));
  gestures.move(pen(6, 5, 0.5));
  gestures.up(7);
  gestures.up(2);
  expect(log).toEqual(['begin', 'paint 5,5 0.25', 'paint 6,5 0.5', 'end']);
  expect([shareOf(pen(0, 0, 0)), shareOf(pen(0, 0, 3)), shareOf(mouse(0, 0)), shareOf(touch(1, 0, 0))]).toEqual([0.1, 1, 1, 1]);
});

test('the middle button pans, the right one does nothing', () => {
  const { log, gestures } = hand();
  expect(gestures.down(mouse(5, 5, 2))).toBe(false);
  gestures.move(mouse(6, 6, 2));
  gestures.down(mouse(5, 5, 1));
  gestures.move(mouse(8, 1, 1));
  gestures.up(1);
  expect(log).toEqual(['pan 3,-4']);
});

test('what the browser takes for itself leaves no dab behind', () => {
  const { log, gestures } = hand();
  gestures.down(touch(1, 10, 10));
  gestures.up(1, true);
  expect(log).toEqual(['begin', 'paint 10,10 1', 'cancel']);
});

test('a pointer that is never lifted does not block the next one', () => {
  const { log, gestures } = hand();
  gestures.down(mouse(5, 5));
  gestures.reset();
  gestures.up(1);
  expect(gestures.down(mouse(7, 7))).toBe(true);
  expect(log).toEqual(['begin', 'paint 5,5 1', 'begin', 'paint 7,7 1']);
});
