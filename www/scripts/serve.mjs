/** A static server with right MIME types and the strictest headers the page runs under. `node serve.mjs [FOLDER] [--port N]` */

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webmanifest': 'application/manifest+json',
  '.txt': 'text/plain; charset=utf-8',
  '.safetensors': 'application/octet-stream',
};

/** What the package promises to work under. Weights may come from other hosts, code may not. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self' https: http://localhost:* http://127.0.0.1:*",
  "style-src 'self'",
  "img-src 'self' blob:",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
};

/**
 * Serves folders: `mounts` maps a path prefix, ending in `/`, to a folder; the longest prefix wins.
 * `intercept(path, response)` may answer in its stead by returning true; `headers` are sent with every answer, beside or in place of the usual.
 * @param {{ mounts: Record<string, string>, headers?: Record<string, string>, port?: number, host?: string, intercept?: (path: string, response: import('node:http').ServerResponse) => boolean | Promise<boolean> }} options
 * @returns {Promise<{ url: string, close: () => Promise<void> }>}
 */
export async function serve({ mounts, headers = {}, port = 0, host = '127.0.0.1', intercept = () => false }) {
  const prefixes = Object.keys(mounts).sort((a, b) => b.length - a.length);
  const server = createServer((request, response) => {
    answer(request, response).catch((error) => {
      console.error(error);
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });

  async function answer(request, response) {
    for (const [name, value] of Object.entries({ ...HEADERS, ...headers })) response.setHeader(name, value);
    if (request.method !== 'GET' && request.method !== 'HEAD') return fail(response, 405);
    const path = decode(request.url);
    if (path === undefined) return fail(response, 400);
    if (await intercept(path, response)) return;
    const prefix = prefixes.find((each) => path.startsWith(each));
    if (prefix === undefined) return fail(response, 404);
    const root = resolve(mounts[prefix]);
    const file = await find(root, path.slice(prefix.length));
    if (file === undefined) return fail(response, 404);
    const packed = await compressed(root, path.slice(prefix.length), String(request.headers['accept-encoding'] ?? ''));
    const sent = packed ?? file;
    response.writeHead(200, {
      'content-type': TYPES[extname(file.path)] ?? 'application/octet-stream',
      'content-length': sent.size,
      ...(packed === undefined ? {} : { 'content-encoding': packed.encoding, vary: 'accept-encoding' }),
    });
    if (request.method === 'HEAD') response.end();
    else createReadStream(sent.path).pipe(response);
  }

  await new Promise((done, failed) => server.once('error', failed).listen(port, host, done));
  const close = () =>
    new Promise((done) => {
      server.close(() => done());
      server.closeAllConnections();
    });
  return { url: `http://localhost:${server.address().port}/`, close };
}

function fail(response, status) {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(`${status}\n`);
}

function decode(url) {
  try {
    return decodeURIComponent(new URL(url, 'http://localhost').pathname);
  } catch {
    return undefined;
  }
}

/** The file beside an engine that holds it as the client takes it. */
async function compressed(root, path, accepted) {
  if (!path.endsWith('.wasm')) return undefined;
  for (const [encoding, ending] of [
    ['br', '.br'],
    ['gzip', '.gz'],
  ]) {
    const file = accepted.split(/[\s,;]+/).includes(encoding) ? await find(root, path + ending) : undefined;
    if (file !== undefined) return { ...file, encoding };
  }
  return undefined;
}

/** A regular file under `root`; `index.html` stands for its folder. Nothing outside is found. */
async function find(root, path) {
  const full = normalize(join(root, path.endsWith('/') || path === '' ? `${path}index.html` : path));
  if (!full.startsWith(root + sep) || full.includes('\0')) return undefined;
  const info = await stat(full).catch(() => undefined);
  return info?.isFile() ? { path: full, size: info.size } : undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({ options: { port: { type: 'string', default: '8080' } }, allowPositionals: true });
  const mounts = { '/': positionals[0] ?? fileURLToPath(new URL('../dist', import.meta.url)) };
  const started = await serve({ mounts, port: Number(values.port) }).catch((error) => {
    if (error.code !== 'EADDRINUSE') throw error;
    console.log(`Port ${values.port} is taken, another one will do.`);
    return serve({ mounts });
  });
  console.log(`Open ${started.url} in Chrome.  (Ctrl+C stops the server.)`);
}
