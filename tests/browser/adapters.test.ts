/** Adapters that lack what others have, on lavapipe through Dawn in Node: each draws the same picture. */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { excess } from '../dawn/tolerance.mjs';
import { findDawn } from './dawn.ts';
import type { DeviceProfile } from '../../www/lib/contract.ts';

interface Report {
  readonly profile: DeviceProfile;
  readonly latents: readonly number[];
  readonly tested: Record<string, number>;
  readonly handlerKept: boolean;
}

const dawn = findDawn();
const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

async function drawOn(kind: string): Promise<Report> {
  const child = fork(path('../dawn/adapters.mjs'), [dawn ?? '', kind], { env: { XDG_RUNTIME_DIR: '/tmp', ...process.env } });
  const left = once(child, 'exit').then(([code]) => { throw new Error(`${kind}: it ended with ${code}`); });
  const [report] = (await Promise.race([once(child, 'message'), left])) as [Report];
  left.catch(() => undefined);
  return report;
}

/** The largest difference between two pictures whose values are from -1 to 1. */
function difference(a: readonly number[], b: readonly number[]): number {
  expect(a).toHaveLength(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? Infinity))), 0);
}

let usual: Report;
beforeAll(async () => {
  if (dawn !== undefined) usual = await drawOn('all');
}, 300_000);

test.skipIf(dawn === undefined)('the profile says what the adapter has', () => {
  expect(usual.profile).toMatchObject({ backend: 'webgpu', shaderF16: true, subgroups: true, timestampQuery: true, packedDot: true });
  expect(usual.profile.limits?.maxComputeWorkgroupStorageSize).toBeGreaterThan(16_384);
});

test.skipIf(dawn === undefined)('without timestamp queries', async () => {
  const { profile, latents } = await drawOn('no-timestamp');
  expect(profile).toMatchObject({ timestampQuery: false, shaderF16: true });
  expect(difference(latents, usual.latents)).toBeLessThan(1e-3);
}, 300_000);

test.skipIf(dawn === undefined)("with every limit at WebGPU's default and no feature, where all kernels are still right", async () => {
  const { profile, latents, tested } = await drawOn('base-limits');
  expect(profile).toMatchObject({ timestampQuery: false, shaderF16: false, subgroups: false });
  expect(profile.limits).toEqual({
    maxBufferSize: 2 ** 28, maxStorageBufferBindingSize: 2 ** 27, maxStorageBuffersPerShaderStage: 8, maxComputeWorkgroupStorageSize: 16_384,
    maxComputeInvocationsPerWorkgroup: 256,
  });
  expect(difference(latents, usual.latents)).toBeLessThan(1e-3);
  expect(Object.keys(tested).length).toBeGreaterThan(100);
  for (const [name, error] of Object.entries(tested)) expect(excess(name, error), `${name}: ${error}`).toBeLessThanOrEqual(1);
}, 900_000);

test.skipIf(dawn === undefined)("on the page's own device, whose error handler stays the page's", async () => {
  const { profile, latents, handlerKept } = await drawOn('page-device');
  expect(profile).toMatchObject({ shaderF16: true, timestampQuery: false });
  expect(handlerKept).toBe(true);
  expect(difference(latents, usual.latents)).toBeLessThan(1e-3);
}, 300_000);
