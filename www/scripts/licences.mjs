/** The licences of what is compiled into the browser modules, as one text: every crate with its licence, then each licence's text once. */

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cargo = (...args) =>
  execFileSync('cargo', args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28, stdio: ['ignore', 'pipe', 'pipe'] });

/** `name version` of every crate that ends up in a module with these features. */
function compiledIn(features) {
  const target = ['--target', 'wasm32-unknown-unknown', '--no-default-features', '--features', features];
  const lines = cargo('tree', ...target, '--edges', 'normal,no-proc-macro', '--prefix', 'none', '--format', '{p}').split('\n');
  return lines
    .map((line) => /^(\S+) v(\S+)/.exec(line))
    .filter((found) => found !== null)
    .map(([, name, version]) => `${name} ${version}`);
}

/** The texts of a crate's licences, as they lie beside its manifest. */
function textsOf(folder) {
  const names = readdirSync(folder).filter((name) => /^(licen[cs]e|copying|notice|unlicense)/i.test(name));
  return names.flatMap((name) => {
    try {
      return [readFileSync(join(folder, name), 'utf8').trim()];
    } catch {
      return []; // a folder of them
    }
  });
}

/** The whole text; throws where a crate says nothing of its licence. */
export function thirdParty() {
  const wanted = new Set([...compiledIn('web,webgpu'), ...compiledIn('web,cpu')]);
  const { packages } = JSON.parse(cargo('metadata', '--format-version', '1', '--all-features'));
  const crates = packages.filter(({ name, version }) => wanted.has(`${name} ${version}`) && name !== 'diffcr-web');
  if (crates.length === 0) throw new Error('cargo lists no crate');
  const texts = new Map();
  const rows = crates
    .sort((a, b) => a.name.localeCompare(b.name))
    .map(({ name, version, license, license_file: file, manifest_path: path }) => {
      if (!license && !file) throw new Error(`${name} ${version} names no licence`);
      for (const text of textsOf(dirname(path))) texts.set(text, [...(texts.get(text) ?? []), name]);
      return `${name} ${version}: ${license ?? file}`;
    });
  const parts = [...texts].map(([text, names]) => `${'-'.repeat(80)}\n${[...new Set(names)].join(', ')}\n\n${text}`);
  return `What is compiled into the wasm modules of diffcr-web, beside its own code (Apache-2.0).\n\n${rows.join('\n')}\n\n${parts.join('\n\n')}\n`;
}
