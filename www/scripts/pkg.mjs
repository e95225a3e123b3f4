/** Fills pkg/dist: the two bundled modules, their types, and the wasm files of build/wasm. `--no-wasm` leaves those out. */

import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';

const www = fileURLToPath(new URL('..', import.meta.url));
const dist = fileURLToPath(new URL('../../pkg/dist/', import.meta.url));
const wasm = fileURLToPath(new URL('../../build/wasm/', import.meta.url));
const WASM_FILES = ['diffcr_webgpu.js', 'diffcr_webgpu_bg.wasm', 'diffcr_cpu.js', 'diffcr_cpu_bg.wasm'];

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });

// One file each, so that a bundler that copies `worker.js` as it is copies all of it.
for (const [input, file] of [
  ['lib/index.ts', 'index.js'],
  ['lib/worker.ts', 'worker.js'],
]) {
  const bundle = await rolldown({ input: `${www}${input}`, platform: 'browser', logLevel: 'warn' });
  await bundle.write({
    file: `${dist}${file}`,
    format: 'esm',
    codeSplitting: false,
    comments: { jsdoc: false, annotation: true, legal: true },
  });
  await bundle.close();
  const text = await readFile(`${dist}${file}`);
  console.log(`pkg/dist/${file}  ${text.length} bytes, ${gzipSync(text).length} gzipped`);
}

const tsc = spawnSync(process.execPath, [`${www}node_modules/typescript-7/bin/tsc`, '-p', `${www}tsconfig.types.json`], {
  stdio: 'inherit',
});
if (tsc.status !== 0) process.exit(tsc.status ?? 1);
for (const name of await readdir(dist, { recursive: true })) {
  if (!name.endsWith('.d.ts')) continue;
  const types = await readFile(`${dist}${name}`, 'utf8');
  await writeFile(`${dist}${name}`, types.replace(/(from '\.{1,2}\/[^']+)\.ts'/g, "$1.js'"));
}

await copyFile(`${www}../LICENSE`, `${www}../pkg/LICENSE`);

if (!process.argv.includes('--no-wasm')) {
  for (const name of WASM_FILES) {
    await copyFile(`${wasm}${name}`, `${dist}${name}`).catch(() => {
      console.error(`build/wasm/${name} is missing: build the wasm modules first`);
      process.exit(1);
    });
    console.log(`pkg/dist/${name}  ${(await stat(`${dist}${name}`)).size} bytes`);
  }
}
