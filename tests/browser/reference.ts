/** The picture that the native binary draws on the CPU from the same bundle, prompt and seed. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MODEL, root } from './harness.ts';
import { readSafetensors, tensor, type Tensor } from './safetensors.ts';

export interface Request {
  readonly prompt: string;
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
}

/** Runs the native binary. `DIFFCR_BIN` names it; otherwise it is where cargo puts it. Without it the test fails. */
export function diffcr(...args: string[]): void {
  const binary = process.env['DIFFCR_BIN'] ?? `${process.env['CARGO_TARGET_DIR'] ?? `${root}target`}/release/diffcr`;
  if (!existsSync(binary)) throw new Error(`${binary} is missing: build the native binary, or set DIFFCR_BIN`);
  const { status, stderr, error } = spawnSync(binary, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`diffcr ${args[0]} failed: ${error?.message ?? stderr}`);
}

/** `[1, 3, H, W]` in [-1, 1]. */
export function nativePicture({ prompt, seed, steps, guidance }: Request): Tensor {
  const folder = mkdtempSync(join(tmpdir(), 'diffcr-'));
  const latents = join(folder, 'reference.safetensors');
  const options = { prompt, seed, steps, guidance, 'save-latents': latents, out: join(folder, 'reference.png') };
  diffcr('generate', MODEL, ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]));
  return tensor(readSafetensors(latents), 'image');
}

/** As the engine turns [-1, 1] into bytes, planes into RGBA. */
export function toBytes({ shape: [, , height = 0, width = 0], data }: Tensor): number[] {
  const plane = height * width;
  return Array.from({ length: plane * 4 }, (_, i) => {
    const channel = i % 4;
    if (channel === 3) return 255;
    const value = data[channel * plane + (i >> 2)] ?? Number.NaN;
    return Math.round(Math.min(1, Math.max(0, (value + 1) / 2)) * 255);
  });
}
