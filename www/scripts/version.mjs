/** Sets the version of everything that is released together: `version.mjs VERSION`, from a checkout's root. */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';

/** Where the version stands, and what takes its place. */
const places = (version, date) => [
  ['Cargo.toml', /^version = ".*"$/m, `version = "${version}"`],
  ['Cargo.lock', /(name = "diffcr-web"\nversion = )".*"/, `$1"${version}"`],
  ['pkg/package.json', /"version": ".*"/, `"version": "${version}"`],
  ['CHANGELOG.md', /^## \S+ — unreleased$/m, `## ${version} — ${date}`],
];

/** Writes nothing unless every place was found. */
export async function setVersion(root, version, date) {
  if (!/^\d+\.\d+\.\d+(-[a-z0-9.]+)?$/.test(version)) throw new Error(`${version} is no version, as 0.2.0 or 0.2.0-beta.1`);
  const changed = await Promise.all(
    places(version, date).map(async ([path, pattern, text]) => {
      const before = await readFile(join(root, path), 'utf8');
      if (!pattern.test(before)) throw new Error(`${path} has no ${String(pattern)}`);
      return [join(root, path), before.replace(pattern, text)];
    }),
  );
  await Promise.all(changed.map(([path, text]) => writeFile(path, text)));
}

if (argv[1] === fileURLToPath(import.meta.url)) await setVersion('.', argv[2] ?? '', new Date().toISOString().slice(0, 10));
