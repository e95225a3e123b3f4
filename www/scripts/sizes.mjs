/** What a visitor of the page fetches, in bytes: the engines as a host sends them, and the bundles of the page. */

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const brotli = (bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } });

/** @param {string} pkg the built package @param {string} publicDir what is served as it is @param {Record<string, string>} beside bundles of other folders, by where the build puts them */
export function sizesOf(pkg, publicDir, beside = {}) {
  const engine = (name) => {
    const file = join(pkg, `diffcr_${name}_bg.wasm`);
    return existsSync(file) ? brotli(readFileSync(file)).length : 0;
  };
  const own = readdirSync(join(publicDir, 'models')).map((name) => [`models/${name}/`, join(publicDir, 'models', name)]);
  const models = {};
  const words = {};
  for (const [address, folder] of [...own, ...Object.entries(beside)]) {
    const manifest = join(folder, 'diffcr.json');
    if (!existsSync(manifest)) continue;
    const { files } = JSON.parse(readFileSync(manifest, 'utf8'));
    models[address] = files.reduce((sum, { bytes }) => sum + bytes, 0);
    const known = wordsIn(join(folder, 'tokenizer.json'));
    if (known !== undefined) words[address] = known;
  }
  return { engines: { webgpu: engine('webgpu'), cpu: engine('cpu') }, models, words };
}

/** The words of a vocabulary of words, as the engine tells them; undefined for any other. @param {string} file */
function wordsIn(file) {
  if (!existsSync(file)) return undefined;
  const { model, added_tokens: added } = JSON.parse(readFileSync(file, 'utf8'));
  if (model.type !== 'WordLevel') return undefined;
  const special = new Set(added.map(({ content }) => content));
  return Object.keys(model.vocab)
    .filter((word) => !special.has(word) && /[\p{L}\p{N}]/u.test(word))
    .sort();
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
