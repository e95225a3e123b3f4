import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { setVersion } from './version.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));

test('a version is everywhere or nowhere', async () => {
  const copy = await mkdtemp(join(tmpdir(), 'diffcr-version-'));
  const files = ['Cargo.toml', 'Cargo.lock', 'pkg/package.json', 'CHANGELOG.md'];
  await mkdir(join(copy, 'pkg'));
  for (const path of files) await cp(join(root, path), join(copy, path));
  const all = async (): Promise<string[]> => await Promise.all(files.map((path) => readFile(join(copy, path), 'utf8')));

  const before = await all();
  await expect(setVersion(copy, 'latest', '2030-01-02')).rejects.toThrow('latest is no version');
  expect(await all()).toEqual(before);

  await setVersion(copy, '9.8.7-beta.1', '2030-01-02');
  const after = await all();
  for (const text of after.slice(0, 3)) expect(text.match(/9\.8\.7-beta\.1/g)).toHaveLength(1);
  expect(after[3]).toContain('## 9.8.7-beta.1 — 2030-01-02');
  // There is nothing unreleased any more.
  await expect(setVersion(copy, '9.9.0', '2030-01-03')).rejects.toThrow('CHANGELOG.md has no');
  expect(await all()).toEqual(after);
  await rm(copy, { recursive: true });
});
