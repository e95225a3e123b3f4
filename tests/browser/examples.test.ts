/** Every example draws its picture: those without a bundler as they lie in the repository, Vite's as it is built. */

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { openPage, root, useSite } from './harness.ts';

const work = mkdtempSync(join(tmpdir(), 'diffcr-examples-'));
const site = useSite(
  {
    '/examples/': join(root, 'examples'),
    '/pkg/dist/': join(root, 'pkg/dist'),
    '/www/public/models/': join(root, 'www/public/models'),
    '/built/': join(work, 'vite/dist'),
  },
  { 'content-security-policy': '' }, // the pages hold their script, as a page of one file does
);

beforeAll(() => {
  const project = join(work, 'vite');
  cpSync(join(root, 'examples/vite'), project, { recursive: true });
  mkdirSync(join(project, 'node_modules'));
  symlinkSync(join(root, 'pkg'), join(project, 'node_modules/diffcr-web'));
  symlinkSync(join(root, 'www/node_modules/vite'), join(project, 'node_modules/vite'));
  const vite = join(root, 'www/node_modules/vite/bin/vite.js');
  execFileSync(process.execPath, [vite, 'build', '--base', '/built/'], { cwd: project, stdio: 'pipe' });
}, 120_000);

test.each([
  ['examples/minimal.html', /^Drawn on the/, '#picture'],
  ['examples/inpaint.html', /^The middle was drawn anew/, '#after'],
  ['examples/routing-heatmap.html', /^Blue tokens skipped most layers; \d+ % /, '#picture'],
  ['built/index.html?model=/www/public/models/scenes-q4/', /^Drawn on the/, '#picture'],
])('%s', async (path, status, picture) => {
  const { page, close } = await openPage(site.browser);
  await page.goto(`${site.url}${path}`);
  await expect.poll(() => page.textContent('#status'), { timeout: 120_000 }).toMatch(status);
  const sides = await page.evaluate((picture) => {
    const image = document.querySelector<HTMLImageElement>(picture);
    return image === null ? [] : image.decode().then(() => [image.naturalWidth, image.naturalHeight]);
  }, picture);
  expect(sides).toEqual([128, 128]);
  await close();
}, 180_000);
