import { expect, test, vi } from 'vitest';
import { DiffCRError } from './errors.ts';
import type { FromWorker, ToWorker } from './protocol.ts';
import { Remote } from './remote.ts';
import { fakeBitmap } from './testing/fake.ts';

const TUNING = { precision: 'half', remember: true } as const;

function setup() {
  const sent: ToWorker[] = [];
  let receive: (message: FromWorker) => void = () => {};
  let crash: (error: DiffCRError) => void = () => {};
  const close = vi.fn();
  const remote = new Remote((onMessage, onCrash) => {
    receive = onMessage;
    crash = onCrash;
    return { post: (message) => void sent.push(message), close };
  });
  const finish = (signal?: AbortSignal) => remote.call('ready', (id) => ({ id, type: 'finish', tuning: TUNING }), { signal });
  return { remote, sent, close, finish, receive: (message: FromWorker) => receive(message), crash: (error: DiffCRError) => crash(error) };
}

const added = { type: 'added' } as const;

test('answers find their questions by id', async () => {
  const { remote, receive, sent } = setup();
  const call = () => remote.call('added', (id) => ({ id, type: 'file', path: '', bytes: new Uint8Array(), hashed: true }));
  const [first, second] = [call(), call()];
  expect(sent.map(({ id }) => id)).toEqual([1, 2]);
  receive({ id: 2, type: 'failed', error: { kind: 'error', code: 'INTEGRITY', message: 'bad', details: {} }, dead: false });
  receive({ id: 1, type: 'reply', reply: added });
  expect(await first).toEqual(added);
  await expect(second).rejects.toMatchObject({ name: 'DiffCRError', code: 'INTEGRITY' });
});

test('a wrong answer is INTERNAL', async () => {
  const { finish, receive } = setup();
  const call = finish();
  receive({ id: 1, type: 'reply', reply: added });
  await expect(call).rejects.toMatchObject({ code: 'INTERNAL' });
});

test('an abort is sent once, and only while the call is under way', async () => {
  const { finish, receive, sent } = setup();
  const controller = new AbortController();
  const call = finish(controller.signal);
  controller.abort();
  receive({ id: 1, type: 'failed', error: { kind: 'abort' }, dead: false });
  await expect(call).rejects.toMatchObject({ name: 'AbortError' });
  expect(sent.map(({ type }) => type)).toEqual(['finish', 'abort']);
  await expect(finish(controller.signal)).rejects.toMatchObject({ name: 'AbortError' });
  expect(sent).toHaveLength(2);
});

test('a crash rejects all that is pending, and what comes later is DISPOSED', async () => {
  const { remote, finish, crash, close } = setup();
  const calls = [finish(), finish()];
  crash(new DiffCRError('INTERNAL', 'the worker stopped'));
  for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'INTERNAL', message: 'the worker stopped' });
  await expect(remote.ended).rejects.toMatchObject({ code: 'INTERNAL' });
  await expect(finish()).rejects.toMatchObject({ code: 'DISPOSED', cause: { code: 'INTERNAL' } });
  expect(close).toHaveBeenCalledOnce();
});

test('a fatal failure and a crash told by the worker end it too', async () => {
  const fatal = setup();
  const call = fatal.finish();
  const other = fatal.finish();
  fatal.receive({ id: 1, type: 'failed', error: { kind: 'error', code: 'DEVICE_LOST', message: 'lost', details: {} }, dead: true });
  await expect(call).rejects.toMatchObject({ code: 'DEVICE_LOST' });
  await expect(other).rejects.toMatchObject({ code: 'DEVICE_LOST' });
  await expect(fatal.finish()).rejects.toMatchObject({ code: 'DISPOSED' });

  const crashed = setup();
  const pending = crashed.finish();
  crashed.receive({ type: 'crashed', error: { kind: 'error', code: 'INTERNAL', message: 'unreachable', details: {} } });
  await expect(pending).rejects.toMatchObject({ code: 'INTERNAL', message: 'unreachable' });
});

test('a preview that nobody takes is closed', () => {
  const { receive } = setup();
  const preview = fakeBitmap(1, 1);
  receive({ id: 7, type: 'step', step: { step: 1, total: 2, timestep: 1, elapsedMs: 1, etaMs: 1, preview } });
  expect(preview.closed).toBe(true);
});
