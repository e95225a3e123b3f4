import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serve } from './serve.mjs';

let folder: string;
let server: Awaited<ReturnType<typeof serve>>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serve-'));
  await mkdir(join(folder, 'dist/sub'), { recursive: true });
  await mkdir(join(folder, 'pkg'));
  for (const [path, text] of [
    ['dist/index.html', '<p>'],
    ['dist/a.wasm', 'x'],
    ['dist/sub/b.safetensors', 'y'],
    ['pkg/index.js', 'z'],
    ['secret', 's'],
  ]) {
    await writeFile(join(folder, path ?? ''), text ?? '');
  }
  server = await serve({
    mounts: { '/': join(folder, 'dist'), '/pkg/': join(folder, 'pkg') },
    intercept: (path, response) => path === '/mine' && (response.end('intercepted'), true),
  });
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

test.each([
  ['', 'text/html; charset=utf-8', '<p>'],
  ['a.wasm', 'application/wasm', 'x'],
  ['sub/b.safetensors?key=1', 'application/octet-stream', 'y'],
  ['pkg/index.js', 'text/javascript; charset=utf-8', 'z'],
  ['mine', null, 'intercepted'],
])('/%s', async (path, type, text) => {
  const response = await fetch(server.url + path);
  expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([200, type, text]);
  expect(response.headers.get('content-security-policy')).toContain("script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'");
  expect(response.headers.get('content-security-policy')).not.toMatch(/'unsafe-(inline|eval)'/);
});

/** The path as it is: `fetch` would tidy it up first. */
function status(path: string, method = 'GET'): Promise<number | undefined> {
  const { port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    request({ port, path, method, host: '127.0.0.1' }, (response) => resolve(response.resume().statusCode))
      .on('error', reject)
      .end();
  });
}

test.each(['/../secret', '/%2e%2e/secret', '/..%2fsecret', '/pkg/..%2f..%2fsecret', '/sub', '/nothing', '/%00', '/sub/../../secret'])(
  '%s is not found',
  async (path) => {
    expect(await status(path)).toBe(404);
  },
);

test('what is not a path, and what is not a read, is refused', async () => {
  expect(await status('/%ff')).toBe(400);
  expect(await status('/', 'POST')).toBe(405);
});
