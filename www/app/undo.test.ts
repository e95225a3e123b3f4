import { expect, test } from 'vitest';
import { Undo } from './undo.ts';

const step = (name: string, bytes: number) => ({ name, bytes });

test('memory alone says how far back it goes', () => {
  const small = new Undo<ReturnType<typeof step>>(10_000);
  for (let i = 0; i < 5000; i += 1) small.push(step(`${i}`, 2));
  let back = 0;
  for (; small.canUndo; back += 1) small.undo((each) => each);
  expect(back).toBe(5000);

  const large = new Undo<ReturnType<typeof step>>(10_000);
  for (let i = 0; i < 5000; i += 1) large.push(step(`${i}`, 3000));
  expect(large.bytes).toBe(9000);
  large.push(step('more than all', 20_000));
  expect(large.canUndo).toBe(true);
  expect(large.bytes).toBe(20_000);
});

test('what is taken back can be done again until something new is done', () => {
  const undo = new Undo<ReturnType<typeof step>>(100);
  const log: string[] = [];
  const swap = (each: ReturnType<typeof step>): ReturnType<typeof step> => {
    log.push(each.name);
    return step(`${each.name}'`, each.bytes);
  };
  undo.push(step('a', 1));
  undo.push(step('b', 1));
  undo.undo(swap);
  undo.undo(swap);
  undo.undo(swap);
  undo.redo(swap);
  expect(log).toEqual(['b', 'a', "a'"]);
  expect([undo.canUndo, undo.canRedo]).toEqual([true, true]);
  undo.push(step('c', 1));
  undo.redo(swap);
  expect([log.length, undo.canRedo, undo.bytes]).toEqual([3, false, 2]);
});
