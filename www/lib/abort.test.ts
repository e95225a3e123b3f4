import { expect, test } from 'vitest';
import { abortable, linked, sleep, throwIfAborted } from './abort.ts';

test('work passes through, with and without a signal', async () => {
  expect(await abortable(Promise.resolve(1), undefined)).toBe(1);
  expect(await abortable(Promise.resolve(2), new AbortController().signal)).toBe(2);
  await expect(abortable(Promise.reject(new Error('no')), new AbortController().signal)).rejects.toThrow('no');
});

test('an abort does not wait for the work, and rejects with the reason of the signal', async () => {
  const controller = new AbortController();
  const never = abortable(new Promise(() => {}), controller.signal);
  const reason = new Error('some reason');
  controller.abort(reason);
  await expect(never).rejects.toBe(reason);
  await expect(abortable(Promise.resolve(1), controller.signal)).rejects.toBe(reason);
  expect(() => throwIfAborted(controller.signal)).toThrow(reason);
  await expect(abortable(Promise.resolve(1), AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' });
});

test('a linked controller fires with any of its signals, for their reason, until it is let go', () => {
  const [one, two] = [new AbortController(), new AbortController()];
  const first = linked(one.signal, undefined, two.signal);
  two.abort('because');
  expect(first.controller.signal.reason).toBe('because');
  const second = linked(one.signal);
  second.unlink();
  one.abort();
  expect(second.controller.signal.aborted).toBe(false);
  expect(linked(two.signal).controller.signal.aborted).toBe(true);
});

test('a sleep ends at an abort', async () => {
  const controller = new AbortController();
  const started = performance.now();
  const nap = sleep(10_000, controller.signal);
  controller.abort();
  await expect(nap).rejects.toMatchObject({ name: 'AbortError' });
  expect(performance.now() - started).toBeLessThan(1000);
});
