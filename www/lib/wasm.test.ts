import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { absolute, engineOpener } from './wasm.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'diffcr-'));
});
afterEach(async () => {
  vi.unstubAllGlobals();
  await rm(folder, { recursive: true });
});

const GLUE = `
  let given;
  export default async ({ module_or_path }) => { given = await module_or_path.text(); };
  export class Engine { static async create() { return { backend: given }; } }
`;

test.each(['webgpu', 'cpu'] as const)('finds glue and binary of %s in the folder', async (backend) => {
  await writeFile(join(folder, `diffcr_${backend}.js`), GLUE);
  const asked: string[] = [];
  vi.stubGlobal('fetch', async (url: URL) => (asked.push(url.href), new Response(backend)));
  const base = `${pathToFileURL(folder).href}/`;
  expect(await engineOpener(base)(backend)).toEqual({ backend });
  expect(asked).toEqual([`${base}diffcr_${backend}_bg.wasm`]);
});

test.each([
  ['status 404', async () => new Response('', { status: 404 })],
  ['HTML', async () => new Response('<html>', { headers: { 'content-type': 'text/html' } })],
  ['no answer', () => Promise.reject(new TypeError('Failed to fetch'))],
])('a binary with %s is NETWORK', async (reason, fetch) => {
  await writeFile(join(folder, 'diffcr_cpu.js'), GLUE);
  vi.stubGlobal('fetch', fetch);
  await expect(engineOpener(`${pathToFileURL(folder).href}/`)('cpu')).rejects.toMatchObject({
    code: 'NETWORK',
    message: expect.stringContaining(reason),
  });
});

test('missing glue is NETWORK, by its address', async () => {
  vi.stubGlobal('fetch', async () => new Response(''));
  const base = `${pathToFileURL(folder).href}/`;
  await expect(engineOpener(base)('cpu')).rejects.toMatchObject({ code: 'NETWORK', details: { url: `${base}diffcr_cpu.js` } });
});

test("Turbopack's addresses count from the origin, all others are as they are", () => {
  vi.stubGlobal('location', new URL('blob:https://host/1b4f'));
  expect(absolute({ href: '/_next/static/media/diffcr.wasm' }).href).toBe('https://host/_next/static/media/diffcr.wasm');
  vi.stubGlobal('location', { origin: 'null' });
  expect(absolute(new URL('https://cdn/diffcr.wasm')).href).toBe('https://cdn/diffcr.wasm');
});
