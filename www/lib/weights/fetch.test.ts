import { expect, test, vi } from 'vitest';
import { fakeFetch, fileBytes } from '../testing/fake.ts';
import { fetchBytes, type Fetch } from './fetch.ts';

const URL_A = 'https://host/a';
const bytes = fileBytes(1000, 1);
const contents = new Map([[URL_A, bytes]]);
const signal = new AbortController().signal;
const backoffMs = [1, 1, 1];

test('streams the bytes and counts them', async () => {
  const counts: number[] = [];
  const { fetch } = fakeFetch(contents);
  const got = await fetchBytes(URL_A, { fetch, signal, expectedBytes: 1000, onBytes: (n) => counts.push(n) });
  expect(got).toEqual(bytes);
  expect(counts.at(-1)).toBe(1000);
  expect(await fetchBytes(URL_A, { fetch, signal })).toEqual(bytes);
});

test('tries again after 5xx and after a broken connection', async () => {
  let broken = 0;
  const { fetch, asked } = fakeFetch(contents, (_, attempt) => {
    if (attempt === 1) return new Response('', { status: 503 });
    if (attempt === 2) throw new TypeError('Failed to fetch');
    return undefined;
  });
  const midway: Fetch = async (url, init) => {
    broken += 1;
    const stream = new ReadableStream({
      pull: (to) => {
        if (broken === 1) return void to.error(new TypeError('cut'));
        to.enqueue(bytes);
        to.close();
      },
    });
    return broken === 1 || broken === 2 ? new Response(stream) : await fetch(url, init);
  };
  expect(await fetchBytes(URL_A, { fetch, signal, backoffMs })).toEqual(bytes);
  expect(asked).toHaveLength(3);
  expect(await fetchBytes(URL_A, { fetch: midway, signal, backoffMs })).toEqual(bytes);
  expect(broken).toBe(2);
});

test('gives up with NETWORK after the last attempt', async () => {
  const { fetch, asked } = fakeFetch(contents, () => new Response('', { status: 500 }));
  await expect(fetchBytes(URL_A, { fetch, signal, backoffMs })).rejects.toMatchObject({
    code: 'NETWORK',
    details: { url: URL_A, status: 500, attempts: 4 },
  });
  expect(asked).toHaveLength(4);
});

test('does not try again after 4xx', async () => {
  const { fetch, asked } = fakeFetch(new Map());
  await expect(fetchBytes(URL_A, { fetch, signal, backoffMs })).rejects.toMatchObject({
    code: 'NETWORK',
    details: { status: 404, attempts: 1 },
  });
  expect(asked).toHaveLength(1);
});

test('an HTML page is an error, not data', async () => {
  const { fetch, asked } = fakeFetch(
    contents,
    () => new Response('<!doctype html>', { headers: { 'content-type': 'text/html; charset=utf-8' } }),
  );
  await expect(fetchBytes(URL_A, { fetch, signal, backoffMs })).rejects.toMatchObject({ code: 'NETWORK', message: /HTML/ });
  expect(asked).toHaveLength(1);
});

test.each([undefined, 'bytes'] as const)(
  'a reply longer than expected is cut one byte beyond, a shorter one ends early: stream of %s',
  async (type) => {
    const pull = (to: ReadableByteStreamController | ReadableStreamDefaultController<Uint8Array>): void => {
      to.enqueue(bytes.slice(0, 600));
      to.enqueue(bytes.slice(600));
      to.close();
    };
    const fetch: Fetch = async () => new Response(type === undefined ? new ReadableStream({ pull }) : new ReadableStream({ type, pull }));
    expect(await fetchBytes(URL_A, { fetch, signal, expectedBytes: 10 })).toEqual(bytes.subarray(0, 11));
    expect(await fetchBytes(URL_A, { fetch, signal, expectedBytes: 1000 })).toEqual(bytes);
    expect(await fetchBytes(URL_A, { fetch, signal, expectedBytes: 2000 })).toEqual(bytes);
  },
);

test('asks past the HTTP cache only when told to', async () => {
  const { fetch, inits } = fakeFetch(contents);
  await fetchBytes(URL_A, { fetch, signal });
  await fetchBytes(URL_A, { fetch, signal, fresh: true });
  expect(inits.map((init) => init.cache)).toEqual([undefined, 'reload']);
});

test('an abort ends a reply that never comes, a body that never ends, and a wait', async () => {
  const hang: Fetch = () => new Promise(() => {});
  const drip: Fetch = async () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) }));
  const down: Fetch = async () => new Response('', { status: 503 });
  for (const fetch of [hang, drip, down]) {
    const controller = new AbortController();
    const got = fetchBytes(URL_A, { fetch, signal: controller.signal, backoffMs: [60_000] });
    setTimeout(() => controller.abort(), 5);
    await expect(got).rejects.toMatchObject({ name: 'AbortError' });
  }
});

test.each([408, 429])('%i is tried again, when the server says', async (status) => {
  const started = performance.now();
  const { fetch, asked } = fakeFetch(contents, (_, attempt) =>
    attempt === 1 ? new Response('', { status, headers: { 'retry-after': '0' } }) : undefined,
  );
  expect(await fetchBytes(URL_A, { fetch, signal, backoffMs: [60_000] })).toEqual(bytes);
  expect(asked).toHaveLength(2);
  expect(performance.now() - started).toBeLessThan(5000);
});

test('a date to come back at is waited for', async () => {
  const date = new Date(Date.now() + 1500).toUTCString(); // to the second
  const { fetch } = fakeFetch(contents, (_, attempt) =>
    attempt === 1 ? new Response('', { status: 503, headers: { 'retry-after': date } }) : undefined,
  );
  expect(await fetchBytes(URL_A, { fetch, signal, backoffMs: [60_000] })).toEqual(bytes);
});

test('a body that stands still is asked for again', async () => {
  const { fetch, asked } = fakeFetch(contents, (_, attempt) =>
    attempt === 1 ? new Response(new ReadableStream({ start: (to) => to.enqueue(bytes.slice(0, 10)) })) : undefined,
  );
  expect(await fetchBytes(URL_A, { fetch, signal, backoffMs, stallMs: 20 })).toEqual(bytes);
  expect(asked).toHaveLength(2);
  const never: Fetch = () => new Promise(() => {});
  await expect(fetchBytes(URL_A, { fetch: never, signal, backoffMs: [], stallMs: 20 })).rejects.toMatchObject({
    code: 'NETWORK',
    message: /stopped sending/,
  });
});

test('nothing from another origin names CORS', async () => {
  vi.stubGlobal('location', { origin: 'https://page', href: 'https://page/' });
  const fetch: Fetch = () => Promise.reject(new TypeError('Failed to fetch'));
  await expect(fetchBytes(URL_A, { fetch, signal, backoffMs: [] })).rejects.toMatchObject({
    code: 'NETWORK',
    details: { url: URL_A, remedy: expect.stringContaining('Access-Control-Allow-Origin') },
  });
  vi.stubGlobal('crossOriginIsolated', true);
  await expect(fetchBytes(URL_A, { fetch, signal, backoffMs: [] })).rejects.toMatchObject({ details: { remedy: /COEP/ } });
  vi.unstubAllGlobals();
});

test('a body that stands still is told, before it is asked for again', async () => {
  let calls = 0;
  const fetch: Fetch = async () => {
    calls += 1;
    const [now, later] = calls === 1 ? [3, undefined] : [5, 0];
    return new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(new Uint8Array(now));
          if (later === 0) controller.close();
        },
      }),
    );
  };
  const onStall = vi.fn();
  const bytes = await fetchBytes(URL_A, { fetch, signal, backoffMs, slowMs: 10, stallMs: 40, onStall });
  expect(bytes).toHaveLength(5);
  expect(calls).toBe(2);
  expect(onStall).toHaveBeenCalledOnce();
});

test('a body without end is cut', async () => {
  let sent = 0;
  const fetch: Fetch = async () =>
    new Response(
      new ReadableStream({
        pull(controller) {
          sent += 1000;
          controller.enqueue(new Uint8Array(1000));
        },
      }),
    );
  await expect(fetchBytes(URL_A, { fetch, signal, backoffMs, limitBytes: 5000 })).rejects.toMatchObject({
    code: 'NETWORK',
    message: expect.stringContaining('goes on beyond 5000 bytes') as string,
  });
  expect(sent).toBeLessThan(20_000);
});
