/** The tarball as npm would publish it: its files, each of at most its size, and what publint says. Half a minute goes into compressing. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';
import { installTarball, root, type Project } from './tarball.ts';

/** Every file of the package, with the most that it may take on its way to a visitor: kB (1000 bytes) in brotli. */
const LIMITS: Readonly<Record<string, number>> = {
  LICENSE: 4,
  'README.md': 7,
  'dist/THIRD_PARTY.txt': 25,
  'dist/diffcr_cpu.js': 9,
  'dist/diffcr_cpu_bg.wasm': 900,
  'dist/diffcr_webgpu.js': 14,
  'dist/diffcr_webgpu_bg.wasm': 2150,
  'dist/element.d.ts': 1,
  'dist/element.js': 2,
  'dist/index.d.ts': 11,
  'dist/index.js': 26,
  'dist/node-bin.js': 15,
  'dist/node-worker.js': 6,
  'dist/node.js': 27,
  'dist/react.d.ts': 1,
  'dist/react.js': 1,
  'dist/worker.js': 6,
  'package.json': 1,
};

let project: Project;
beforeAll(() => {
  project = installTarball();
});

test('the tarball holds what is listed, and nothing else', () => {
  expect(project.files).toEqual(Object.keys(LIMITS));
});

test('no file is larger than it may be', () => {
  const sizes = Object.keys(LIMITS).map((path) => {
    const bytes = readFileSync(join(project.folder, 'node_modules/diffcr-web', path));
    return [path, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length / 1000] as const;
  });
  console.log(sizes.map(([path, size]) => `${path} ${size.toFixed(1)} kB`).join('\n'));
  expect(sizes.filter(([path, size]) => size > (LIMITS[path] ?? 0))).toEqual([]);
});

test('publint finds nothing', () => {
  const publint = join(root, 'www/node_modules/publint/src/cli.js');
  execFileSync(process.execPath, [publint, '--strict', project.tarball], { encoding: 'utf8', stdio: 'pipe' });
});
