/** Fills pkg/dist: the bundled modules, one file of their types, and the wasm files of build/wasm. `--no-wasm` leaves those out. */

import { copyFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { dts } from 'rolldown-plugin-dts';
import { thirdParty } from './licences.mjs';

const www = fileURLToPath(new URL('..', import.meta.url));
const dist = fileURLToPath(new URL('../../pkg/dist/', import.meta.url));
const wasm = fileURLToPath(new URL('../../build/wasm/', import.meta.url));
const WASM_FILES = ['diffcr_webgpu.js', 'diffcr_webgpu_bg.wasm', 'diffcr_cpu.js', 'diffcr_cpu_bg.wasm'];

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });

// One file each, so that a bundler that copies `worker.js` as it is copies all of it.
for (const [input, platform, external] of [
  ['index', 'browser', []],
  ['worker', 'browser', []],
  ['node', 'node', [/^node:/]],
  ['node-worker', 'node', [/^node:/]],
  ['node-bin', 'node', [/^node:/]],
  ['react', 'browser', ['diffcr-web', 'react']],
  ['element', 'browser', ['diffcr-web']],
]) {
  const file = `${dist}${input}.js`;
  const bundle = await rolldown({ input: `${www}lib/${input}.ts`, platform, external, tsconfig: false, logLevel: 'warn' });
  await bundle.write({ file, format: 'esm', codeSplitting: false, comments: { jsdoc: false, annotation: true, legal: true } });
  await bundle.close();
  const text = await readFile(file);
  console.log(`pkg/dist/${input}.js  ${text.length} bytes, ${gzipSync(text).length} gzipped`);
}

// The types of each entry in one file, which imports nothing of ours but the package by its name.
for (const input of ['index', 'react', 'element']) {
  const bundle = await rolldown({
    input: `${www}lib/${input}.ts`,
    external: ['diffcr-web', 'react'],
    plugins: [dts({ emitDtsOnly: true, tsconfig: `${www}tsconfig.types.json` })],
    logLevel: 'warn',
    checks: { pluginTimings: false },
  });
  await bundle.write({ dir: dist, format: 'esm', entryFileNames: '[name].js' });
  await bundle.close();
}
// Libraries before ESNext do not have the symbol, and TypeScript before 5.7 no type arguments of byte arrays.
const types = (await readFile(`${dist}index.d.ts`, 'utf8')).replace(/\b(Uint8(?:Clamped)?Array)<ArrayBuffer>/g, '$1');
const symbol = 'declare global {\n  interface SymbolConstructor {\n    readonly asyncDispose: unique symbol;\n  }\n}\n';
await writeFile(`${dist}index.d.ts`, types + symbol);

await copyFile(`${www}../LICENSE`, `${www}../pkg/LICENSE`);

if (!process.argv.includes('--no-wasm')) {
  await writeFile(`${dist}THIRD_PARTY.txt`, thirdParty());
  for (const name of WASM_FILES) {
    await copyFile(`${wasm}${name}`, `${dist}${name}`).catch(() => {
      console.error(`build/wasm/${name} is missing: build the wasm modules first`);
      process.exit(1);
    });
    console.log(`pkg/dist/${name}  ${(await stat(`${dist}${name}`)).size} bytes`);
  }
}
