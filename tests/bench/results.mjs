/** results.json: a section for every benchmark, each with the machine and what else it did. */

import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';

const file = fileURLToPath(new URL('results.json', import.meta.url));

/** Replaces a section. `load` is the machine's load average over the last 15 minutes: above the cores, other work ran beside. */
export function record(section, values) {
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, load: Math.round(10 * loadavg()[2]) / 10 };
  const results = { ...JSON.parse(readFileSync(file, 'utf8')), [section]: { machine, ...values } };
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
}

/** The version of an npm package from a file in its folder. */
export function versionOf(folder) {
  return JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')).version;
}
