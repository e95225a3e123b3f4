/** The package as npm would publish it, unpacked where a consumer would have it. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));
export const MODEL = join(root, 'www/public/models/scenes-q4');

export interface Project {
  /** Holds `node_modules/diffcr-web`. */
  readonly folder: string;
  readonly tarball: string;
  /** Paths in the tarball. */
  readonly files: readonly string[];
}

/** A folder with the package in its `node_modules`. */
export function installTarball(): Project {
  if (!existsSync(join(root, 'pkg/dist/diffcr_cpu_bg.wasm'))) throw new Error('pkg/dist has no wasm: `make app` first');
  const folder = mkdtempSync(join(tmpdir(), 'diffcr-consumer-'));
  const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', folder, join(root, 'pkg')], { encoding: 'utf8' });
  const listed = JSON.parse(packed) as { filename: string; files: { path: string }[] }[] | Record<string, { filename: string; files: { path: string }[] }>;
  const [entry] = Object.values(listed);
  if (entry === undefined) throw new Error('npm packed nothing');
  const tarball = join(folder, entry.filename);
  mkdirSync(join(folder, 'node_modules'));
  execFileSync('tar', ['-xzf', tarball, '-C', join(folder, 'node_modules')]);
  renameSync(join(folder, 'node_modules/package'), join(folder, 'node_modules/diffcr-web'));
  return { folder, tarball, files: entry.files.map(({ path }) => path).sort() };
}
