import { expect, test } from 'vitest';
import { abortable, sleep, throwIfAborted } from './abort.ts';

test('work passes through, with and without a signal', async () => {
  expect(await abortable(Promise.resolve(1), undefined)).toBe(1);
  expect(await abortable(Promise.resolve(2), new AbortController().signal)).toBe(2);
  await expect(abortable(Promise.reject(new Error('no')), new AbortController().signal)).rejects.toThrow('no');
});

test('an abort does not wait for the work, and is always an AbortError', async () => {
  const controller = new AbortController();
  const never = abortable(new Promise(() => {}), controller.signal);
  controller.abort(new Error('some reason'));
  await expect(never).rejects.toMatchObject({ name: 'AbortError' });
  await expect(abortable(Promise.resolve(1), controller.signal)).rejects.toMatchObject({ name: 'AbortError' });
  expect(() => throwIfAborted(controller.signal)).toThrow(DOMException);
});

test('a sleep ends at an abort', async () => {
  const controller = new AbortController();
  const started = performance.now();
  const nap = sleep(10_000, controller.signal);
  controller.abort();
  await expect(nap).rejects.toMatchObject({ name: 'AbortError' });
  expect(performance.now() - started).toBeLessThan(1000);
});
