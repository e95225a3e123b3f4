/** What a visitor of the page fetches, in bytes: the engines as a host sends them, and the bundles of the page. */

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const brotli = (bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } });

/** @param {string} pkg the built package @param {string} publicDir what is served as it is */
export function sizesOf(pkg, publicDir) {
  const engine = (name) => {
    const file = join(pkg, `diffcr_${name}_bg.wasm`);
    return existsSync(file) ? brotli(readFileSync(file)).length : 0;
  };
  const models = {};
  for (const name of readdirSync(join(publicDir, 'models'))) {
    const manifest = join(publicDir, 'models', name, 'diffcr.json');
    if (!existsSync(manifest)) continue;
    const { files } = JSON.parse(readFileSync(manifest, 'utf8'));
    models[`models/${name}/`] = files.reduce((sum, { bytes }) => sum + bytes, 0);
  }
  return { engines: { webgpu: engine('webgpu'), cpu: engine('cpu') }, models };
}

/** Writes `.br` and `.gz` beside every wasm file of a built page, for hosts that do not compress. @param {string} dist */
export function compressEngines(dist) {
  for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.wasm'))) {
    const file = join(dist, name);
    const bytes = readFileSync(file);
    writeFileSync(`${file}.br`, brotli(bytes));
    writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
  }
}
