/** The package as npm would publish it, unpacked where a consumer would have it. */

import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { modelPackage } from '../../www/scripts/model-package.mjs';

export const root = fileURLToPath(new URL('../../', import.meta.url));
export const MODEL = join(root, 'www/public/models/scenes-q4');

/** npm's tarball of the package in `from`, in `folder`, and the paths in it. */
function pack(from: string, folder: string): { tarball: string; files: string[] } {
  const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', folder, from], { encoding: 'utf8' });
  const listed = JSON.parse(packed) as
    { filename: string; files: { path: string }[] }[] | Record<string, { filename: string; files: { path: string }[] }>;
  const [entry] = Object.values(listed);
  if (entry === undefined) throw new Error('npm packed nothing');
  return { tarball: join(folder, entry.filename), files: entry.files.map(({ path }) => path).sort() };
}

function unpack(tarball: string, folder: string, name: string): void {
  execFileSync('tar', ['-xzf', tarball, '-C', join(folder, 'node_modules')]);
  renameSync(join(folder, 'node_modules/package'), join(folder, 'node_modules', name));
}

/** Commands of the package, as npm links them. */
function link(folder: string): void {
  const modules = join(folder, 'node_modules');
  const { bin } = JSON.parse(readFileSync(join(modules, 'diffcr-web/package.json'), 'utf8')) as { bin: Record<string, string> };
  mkdirSync(join(modules, '.bin'));
  for (const [name, path] of Object.entries(bin)) {
    const program = join(modules, 'diffcr-web', path);
    chmodSync(program, 0o755);
    symlinkSync(program, join(modules, '.bin', name));
  }
}

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
  const { tarball, files } = pack(join(root, 'pkg'), folder);
  mkdirSync(join(folder, 'node_modules'));
  unpack(tarball, folder, 'diffcr-web');
  link(folder);
  return { folder, tarball, files };
}

/** Puts the model beside it, as a package. */
export async function installModel({ folder }: Project, name = 'diffcr-web-scenes'): Promise<void> {
  const made = join(folder, 'model-package');
  await modelPackage(MODEL, made, name, '0.1.0');
  unpack(pack(made, folder).tarball, folder, name);
}
