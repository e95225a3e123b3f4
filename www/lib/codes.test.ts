/** Every code that a `DiffCRError` can carry is raised by a test: here is which. */

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CODES } from './contract.ts';

const folders = ['./', './weights/', '../../tests/browser/', '../../tests/consumers/'];

test.each(CODES)('%s is raised in a test', (code) => {
  const named = folders.flatMap((folder) => {
    const url = new URL(folder, import.meta.url);
    const tests = readdirSync(url).filter((name) => name.endsWith('.test.ts') && name !== 'codes.test.ts' && name !== 'errors.test.ts');
    return tests.filter((name) => {
      const text = readFileSync(new URL(name, url), 'utf8');
      // A rejection or a throw that is expected with the code, or a row of a table of such.
      return new RegExp(`code: '${code}'|^\\s+('${code}',$|\\[.*'${code}'.*\\],?$)|'${code}'\\],?$|\\['${code}', `, 'm').test(text);
    });
  });
  expect(named).not.toEqual([]);
});
