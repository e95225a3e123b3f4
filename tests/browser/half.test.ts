/** What SwiftShader cannot run, for it has no f16: on lavapipe through Dawn, which is Chrome's engine, in Node. */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { excess } from '../dawn/tolerance.mjs';
import { findDawn } from './dawn.ts';

/** Of a picture after a few steps, against that in f32: rounding moves an edge here and there. */
const MIN_DECIBELS = 36;
/** First all is compiled. */
const PATIENCE_MS = 900_000;

interface Report {
  readonly kernels: Record<string, Record<string, number>>;
  readonly timings: readonly string[];
  /** Decibels of the picture in f16 against that in f32. */
  readonly drawn: number;
  readonly inpainted: number;
}

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const dawn = findDawn();

test.skipIf(dawn === undefined)('kernels and blocks may hand on f16, of whole pictures and of holes', async () => {
  const child = fork(path('../dawn/half.mjs'), [dawn ?? ''], { env: { XDG_RUNTIME_DIR: '/tmp', ...process.env } });
  const left = once(child, 'exit').then(([code]) => { throw new Error(`it ended with ${code}`); });
  const [{ kernels, timings, drawn, inpainted }] = (await Promise.race([once(child, 'message'), left])) as [Report];
  left.catch(() => undefined);
  for (const [family, errors] of Object.entries(kernels)) {
    expect(Object.keys(errors), family).not.toEqual([]);
    for (const [name, error] of Object.entries(errors)) expect(excess(name, error), `${name}: ${error}`).toBeLessThanOrEqual(1);
  }
  console.log(`f16 between kernels: ${drawn.toFixed(1)} dB from the picture in f32, inpainted ${inpainted.toFixed(1)} dB`);
  expect(timings.join()).toMatch(/; f16$/);
  for (const decibels of [drawn, inpainted]) {
    expect(decibels).toBeLessThan(Infinity); // or nothing was rounded
    expect(decibels).toBeGreaterThanOrEqual(MIN_DECIBELS);
  }
}, PATIENCE_MS);
