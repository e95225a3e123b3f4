/** The built page's service worker: its source as JavaScript, with the list of the files that it keeps. */

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** What is not the page's: bundles, which the package keeps, and what only servers read. */
const NOT_KEPT = /^models\/|^sw\.js$|\.(?:br|gz)$|^LICENSE\.txt$/;
const ENGINE = /^assets\/diffcr_(webgpu|cpu)/;

/** Writes `sw.js` into a built page. @param {string} dist @param {string} source the worker's TypeScript */
export function writeServiceWorker(dist, source) {
  const all = readdirSync(dist, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = all.map((entry) =>
    join(entry.parentPath, entry.name)
      .slice(dist.length + 1)
      .replaceAll('\\', '/'),
  );
  const own = paths.filter((path) => !NOT_KEPT.test(path)).sort();
  const engines = {};
  for (const path of own) {
    const backend = ENGINE.exec(path)?.[1];
    if (backend !== undefined) (engines[backend] ??= []).push(path);
  }
  const files = own.filter((path) => !ENGINE.test(path));
  const hash = createHash('sha256');
  for (const path of own) hash.update(path).update(readFileSync(join(dist, path)));
  const { outputText } = ts.transpileModule(readFileSync(source, 'utf8'), {
    compilerOptions: { target: ts.ScriptTarget.ES2022, removeComments: true },
  });
  const constants = { FILES: files, ENGINES: engines, VERSION: hash.digest('hex').slice(0, 16) };
  const head = Object.entries(constants).map(([name, value]) => `const ${name} = ${JSON.stringify(value)};`);
  writeFileSync(join(dist, 'sw.js'), `${head.join('\n')}\n${outputText}`);
}
