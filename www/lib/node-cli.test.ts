import { mkdtemp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { main } from './node-cli.ts';

/** Files of a served bundle by path; what is missing is a 404. */
let served: Map<string, Buffer>;
let asked: { path: string; token: string | undefined }[];
let server: Server;
let url: string;
let folder: string;

const FILES = { 'a-00001.safetensors': Buffer.from('first'), 'b.json': Buffer.from('second, longer') };

function bundle(files: Record<string, Buffer>, version = '1'): Map<string, Buffer> {
  const listed = Object.entries(files).map(([path, bytes]) => ({
    path,
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }));
  const manifest = Buffer.from(JSON.stringify({ name: 'tiny', version, files: listed }));
  return new Map([...Object.entries(files), ['diffcr.json', manifest]]);
}

beforeEach(async () => {
  served = bundle(FILES);
  asked = [];
  server = createServer((request, response) => {
    const path = (request.url ?? '').slice(1);
    asked.push({ path, token: request.headers.authorization });
    const bytes = served.get(path);
    response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`;
  folder = join(await mkdtemp(join(tmpdir(), 'diffcr-fetch-')), 'model');
});

afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  await rm(join(folder, '..'), { recursive: true });
});

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const code = await main(args, { write: (text) => (out += text), complain: (text) => (err += text) });
  return { code, out, err };
}

test('every file is there and checked, the manifest too', async () => {
  const { code, out } = await run('fetch', url, folder, '--header', 'Authorization: Bearer x');
  expect([code, out]).toEqual([0, `tiny 1: 2 files, 0.0 MB, in ${folder}\n`]);
  expect((await readdir(folder)).sort()).toEqual(['a-00001.safetensors', 'b.json', 'diffcr.json']);
  expect(await readFile(join(folder, 'b.json'))).toEqual(FILES['b.json']);
  expect(asked.map(({ token }) => token)).toEqual(['Bearer x', 'Bearer x', 'Bearer x']);
});

test('what is there stays, what is damaged is fetched again', async () => {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'a-00001.safetensors'), FILES['a-00001.safetensors']);
  await writeFile(join(folder, 'b.json'), 'second, LONGER');
  expect((await run('fetch', url, folder)).out).toContain('were there');
  expect(asked.map(({ path }) => path)).toEqual(['diffcr.json', 'b.json']);
  expect(await readFile(join(folder, 'b.json'))).toEqual(FILES['b.json']);
});

test('a newer bundle takes the place of an older one, and files of the site stay', async () => {
  await run('fetch', url, folder);
  await writeFile(join(folder, 'README'), 'mine');
  served = bundle({ 'a-00001.safetensors': Buffer.from('another') }, '2');
  expect((await run('fetch', url, folder)).out).toMatch(/^tiny 2: 1 files/);
  expect((await readdir(folder)).sort()).toEqual(['README', 'a-00001.safetensors', 'diffcr.json']);
});

test('a folder that is not whole has no manifest', async () => {
  served.set('b.json', Buffer.from('another text!!'));
  const { code, err } = await run('fetch', url, folder);
  expect([code, err]).toEqual([1, expect.stringMatching(/^INTEGRITY: b\.json: /)]);
  expect(await readdir(folder)).not.toContain('diffcr.json');
  expect((await readdir(folder)).filter((name) => name.endsWith('.part'))).toEqual([]);
});

test.each([
  [[], 0, ''],
  [['--help'], 0, ''],
  [['put', 'x', 'y'], 2, 'there is no command "put"'],
  [['fetch', 'x'], 2, '`fetch` takes a model and a folder'],
  [['fetch', 'x', 'y', '--nope'], 2, '--nope'],
  [['fetch', 'ftp://x/', 'y'], 2, 'ftp:'],
  [['fetch', 'https://x/', 'y', '--header', 'none'], 2, "takes 'Name: value'"],
  [['fetch', 'https://x/', 'y', '--concurrency', 'many'], 2, 'concurrency'],
])('%j ends with %i', async (args, code, says) => {
  const found = await run(...args);
  expect([found.code, found.err]).toEqual([code, code === 0 ? '' : expect.stringContaining(says)]);
});

test('a file in the way is named', async () => {
  await writeFile(folder, 'a file');
  expect((await run('fetch', url, folder)).err).toContain(`${folder} is no folder`);
});

test('another manifest than the pinned one is refused', async () => {
  const { code, err } = await run('fetch', url, folder, '--integrity', '0'.repeat(64));
  expect([code, err]).toEqual([1, expect.stringMatching(/^INTEGRITY: diffcr\.json is not the one that was pinned/)]);
});

test('a stop says how to go on', async () => {
  const stop = new AbortController();
  stop.abort();
  let err = '';
  const code = await main(['fetch', url, folder], { write: () => {}, complain: (text) => (err += text), signal: stop.signal });
  expect([code, err]).toEqual([130, 'stopped: run it again to go on\n']);
});
