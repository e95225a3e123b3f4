import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { DiffCRError } from './errors.ts';
import type { FromWorker } from './protocol.ts';
import { connectWorker, unmoved, workerStarter } from './spawn.ts';

class FakeWorker extends EventTarget {
  static made: FakeWorker[] = [];
  /** What making one throws. */
  static refuse: (address: unknown) => unknown = () => undefined;
  readonly address: unknown;
  posted: unknown[] = [];
  terminated = false;

  constructor(address: unknown) {
    super();
    const refused = FakeWorker.refuse(address);
    if (refused !== undefined) throw refused;
    this.address = address;
    FakeWorker.made.push(this);
  }

  postMessage(message: unknown): void {
    this.posted.push(message);
  }

  terminate(): void {
    this.terminated = true;
  }

  hear(message: unknown): void {
    this.dispatchEvent(new MessageEvent('message', { data: message }));
  }

  fail(message: string): void {
    this.dispatchEvent(Object.assign(new Event('error', { cancelable: true }), { message, error: null }));
  }
}

const URL_A = 'https://host/worker.js';
let crashes: DiffCRError[];
let heard: FromWorker[];

beforeEach(() => {
  [crashes, heard, FakeWorker.made, FakeWorker.refuse] = [[], [], [], () => undefined];
  vi.stubGlobal('Worker', FakeWorker);
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function start(address: Parameters<typeof workerStarter>[0] = URL_A, helloMs?: number) {
  const link = connectWorker(workerStarter(address), helloMs)(
    (message) => heard.push(message),
    (error) => crashes.push(error),
  );
  const worker = FakeWorker.made.at(-1);
  if (worker === undefined) throw new Error('no worker was made');
  return { link, worker };
}

test('a worker that starts and stops', () => {
  const { link, worker } = start();
  worker.hear({ type: 'hello' });
  worker.fail('Uncaught RuntimeError: unreachable');
  worker.dispatchEvent(new Event('messageerror'));
  expect(heard).toEqual([{ type: 'hello' }]);
  expect(crashes.map(({ code, message }) => `${code} ${message}`)).toEqual([
    'INTERNAL the worker stopped: Uncaught RuntimeError: unreachable',
    "INTERNAL a message of the worker's could not be read",
  ]);
  link.close();
  expect(worker.terminated).toBe(true);
});

test('a script that cannot be loaded is WORKER, with its address and a remedy', () => {
  start().worker.fail('');
  expect(crashes).toMatchObject([{ code: 'WORKER', details: { url: URL_A, remedy: expect.stringContaining('workerUrl') } }]);
});

test('an empty script is not waited for', () => {
  vi.useFakeTimers();
  start(URL_A, 1000);
  vi.advanceTimersByTime(1001);
  expect(crashes).toMatchObject([{ code: 'WORKER', details: { remedy: expect.stringContaining('side effects') } }]);
});

test('one that has been heard, or closed, is not late', () => {
  vi.useFakeTimers();
  start(URL_A, 1000).worker.hear({ type: 'hello' });
  start(URL_A, 1000).link.close();
  vi.advanceTimersByTime(1001);
  expect(crashes).toEqual([]);
});

const security = new DOMException("Failed to construct 'Worker': Script at 'https://cdn/x.js' cannot be accessed", 'SecurityError');

test('a script of another origin is imported by a Blob', async () => {
  const texts: Promise<string>[] = [];
  vi.spyOn(URL, 'createObjectURL').mockImplementation((blob) => (texts.push((blob as Blob).text()), 'blob:here'));
  FakeWorker.refuse = (address) => (address === 'blob:here' ? undefined : security);
  expect(start('https://cdn/x.js').worker.address).toBe('blob:here');
  expect(await Promise.all(texts)).toEqual(['import "https://cdn/x.js";']);
  FakeWorker.refuse = () => security;
  expect(() => start('https://cdn/x.js')).toThrow(expect.objectContaining({ code: 'WORKER' }));
});

test('a browser that tells instead of throwing has it imported too, and hears what was said', () => {
  vi.stubGlobal('origin', 'https://page');
  vi.spyOn(URL, 'createObjectURL').mockReturnValue('blob:here');
  const { link, worker } = start('https://cdn/x.js');
  link.post({ id: 1, type: 'adapter' }, []);
  worker.fail('');
  const second = FakeWorker.made.at(-1);
  expect([second?.address, second?.posted]).toEqual(['blob:here', [{ id: 1, type: 'adapter' }]]);
  second?.hear({ type: 'hello' });
  expect([heard, crashes]).toEqual([[{ type: 'hello' }], []]);
  const [third] = [start('https://cdn/x.js').worker];
  third.fail('');
  FakeWorker.made.at(-1)?.fail('not found');
  expect(crashes).toMatchObject([{ code: 'WORKER' }]);
});

test('what Trusted Types approved passes unchanged, a plain address by the policy of ours', () => {
  const approved = { toString: () => URL_A };
  expect(start(approved).worker.address).toBe(approved);
  const wrapped: object[] = [];
  const createPolicy = (name: string, { createScriptURL }: { createScriptURL: (url: string) => string }) => {
    expect(name).toBe('diffcr-web');
    return { createScriptURL: (url: string) => (wrapped.push({ of: createScriptURL(url) }), wrapped.at(-1)) };
  };
  vi.stubGlobal('trustedTypes', { createPolicy });
  FakeWorker.refuse = (address) => (typeof address === 'string' ? new TypeError('This document requires TrustedScriptURL') : undefined);
  expect(start().worker.address).toEqual({ of: URL_A });
  FakeWorker.refuse = () => new TypeError('This document requires TrustedScriptURL');
  expect(() => start()).toThrow(
    expect.objectContaining({ code: 'WORKER', details: { url: URL_A, remedy: expect.stringContaining('policy') } }),
  );
});

test('where there are no workers, that is WORKER too', () => {
  vi.stubGlobal('Worker', undefined);
  Reflect.deleteProperty(globalThis, 'Worker');
  expect(() => start(undefined)).toThrow(expect.objectContaining({ code: 'WORKER' }));
});

test('beside a module that Vite moved there is no worker, but where it came from', () => {
  expect(unmoved('http://localhost:5173/a/node_modules/.vite/deps/diffcr-web.js?v=1f')).toBe(
    'http://localhost:5173/a/node_modules/diffcr-web/dist/worker.js',
  );
  expect(unmoved('http://localhost:5173/node_modules/diffcr-web/dist/index.js')).toBeUndefined();
  const starter = { url: URL_A, start: () => new Worker(URL_A), elsewhere: 'https://host/elsewhere.js' };
  const link = connectWorker(starter)(
    (message) => heard.push(message),
    (error) => crashes.push(error),
  );
  link.post({ id: 1, type: 'adapter' }, []);
  FakeWorker.made.at(-1)?.fail('');
  const second = FakeWorker.made.at(-1);
  expect([second?.address, second?.posted]).toEqual(['https://host/elsewhere.js', [{ id: 1, type: 'adapter' }]]);
  second?.fail('');
  expect(crashes).toMatchObject([{ code: 'WORKER', details: { url: URL_A } }]);
});
