import { expect, test } from 'vitest';
import { ProgressMeter, type Progress } from './progress.ts';

function record(): { events: Progress[]; meter: ProgressMeter } {
  const events: Progress[] = [];
  return { events, meter: new ProgressMeter((event) => events.push(event)) };
}

test('grows from 0 to 1 over constant totals, also when a chunk is fetched again', () => {
  const { events, meter } = record();
  meter.start(200);
  for (const bytes of [50, 100, 0, 60, 100]) meter.received('a', bytes);
  meter.verified('a', 100);
  meter.uploaded('a', 100);
  meter.received('b', 100);
  meter.verified('b', 100);
  meter.uploaded('b', 100);
  meter.finish();
  const overall = events.map((event) => event.overall);
  expect(overall).toEqual([...overall].sort((a, b) => a - b));
  expect(overall.at(0)).toBe(0);
  expect(overall.at(-1)).toBe(1);
  const loaded = events.map((event) => event.loadedBytes);
  expect(loaded).toEqual([...loaded].sort((a, b) => a - b));
  expect(loaded.at(-1)).toBe(200);
  expect(new Set(events.slice(1).map((event) => event.totalBytes))).toEqual(new Set([200]));
  expect([...new Set(events.map((event) => event.phase))]).toEqual(['manifest', 'download', 'verify', 'upload', 'compile']);
});

test('a longer reply than promised does not pass the total', () => {
  const { events, meter } = record();
  meter.start(100);
  meter.received('a', 101);
  expect(events.at(-1)?.loadedBytes).toBe(100);
});

test('a thousand small pieces are not a thousand events', () => {
  const { events, meter } = record();
  meter.start(100_000);
  for (let bytes = 1; bytes <= 100_000; bytes += 10) meter.received('a', bytes);
  expect(events.length).toBeGreaterThan(50);
  expect(events.length).toBeLessThan(600);
});

test('a bundle without bytes is soon over', () => {
  const { events, meter } = record();
  meter.start(0);
  meter.finish();
  expect(events.at(-1)).toMatchObject({ phase: 'compile', overall: 1 });
});

test('a file that stands still is named until its bytes come again', () => {
  const told: (string | undefined)[] = [];
  const meter = new ProgressMeter(({ stalled }) => told.push(stalled));
  meter.start(100);
  meter.received('a', 10);
  meter.stalled('a');
  meter.received('b', 20);
  meter.received('a', 11);
  expect(told).toContain('a');
  expect(told.at(-1)).toBeUndefined();
});
