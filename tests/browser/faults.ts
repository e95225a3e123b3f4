/** Bundles that are damaged on their way: `/faulty/NAME/…` is the demo's bundle with the fault of that name. */

import { readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';

/** Which request for the file this is, and which one for the manifest came before it, counted from 1. */
interface Turn {
  readonly attempt: number;
  readonly load: number;
}

/** Answers a request for a file of the bundle in its own way. */
type Fault = (file: string, bytes: Buffer, response: ServerResponse, turn: Turn) => void;

const isChunk = (file: string): boolean => file.endsWith('.safetensors');

const send = (response: ServerResponse, bytes: Uint8Array | string, type = 'application/octet-stream'): void => {
  response.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(bytes) }).end(bytes);
};
const refuse = (response: ServerResponse, status: number): void => void response.writeHead(status, { 'content-type': 'text/plain' }).end();
const altered = (bytes: Buffer): Buffer => {
  const copy = Buffer.from(bytes);
  const middle = copy.length >> 1;
  copy[middle] = (copy[middle] ?? 0) ^ 1;
  return copy;
};

const FAULTS: Readonly<Record<string, Fault>> = {
  missing: (file, bytes, response) => (isChunk(file) ? refuse(response, 404) : send(response, bytes)),
  truncated: (file, bytes, response) => send(response, isChunk(file) ? bytes.subarray(0, bytes.length >> 1) : bytes),
  altered: (file, bytes, response) => send(response, isChunk(file) ? altered(bytes) : bytes),
  html: (file, bytes, response) => (isChunk(file) ? send(response, '<!doctype html>', 'text/html') : send(response, bytes)),
  'no-manifest': (_, __, response) => send(response, '<!doctype html>', 'text/html; charset=utf-8'),
  version: (file, bytes, response) => {
    send(response, isChunk(file) ? bytes : bytes.toString().replace(/"formatVersion":\s*\d+/, '"formatVersion": 99'));
  },
  /** A text encoder that is wider than its weights. */
  misfit: (file, bytes, response) => {
    send(response, isChunk(file) ? bytes : bytes.toString().replace(/"dFf":\s*256,/, '"dFf": 512,'));
  },
  'not-json': (file, bytes, response) => send(response, file === 'diffcr.json' ? '{' : bytes),
  /** Mends itself: altered, then right; 503, then right. */
  flaky: (file, bytes, response, { attempt }) => {
    if (!isChunk(file) && attempt === 1) refuse(response, 503);
    else send(response, isChunk(file) && attempt === 1 ? altered(bytes) : bytes);
  },
  /** The connection breaks in the middle, every time. */
  cut: (file, bytes, response) => {
    if (!isChunk(file)) return send(response, bytes);
    response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, bytes.length >> 1), () => response.destroy());
  },
  /** Chunks that do not end the first time the bundle is loaded, as a slow connection looks. */
  slow: (file, bytes, response, { load }) => {
    if (!isChunk(file) || load > 1) return send(response, bytes);
    response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, bytes.length >> 1));
  },
};

/** To be given to the server as `intercept`. */
export function injectFaults(model: string): (path: string, response: ServerResponse) => Promise<boolean> {
  const asked = new Map<string, number>();
  return async (path, response) => {
    const [, name = '', file = ''] = /^\/faulty\/([a-z-]+)\/(.+)$/.exec(path) ?? [];
    const fault = FAULTS[name];
    if (fault === undefined) return false;
    const attempt = (asked.get(path) ?? 0) + 1;
    asked.set(path, attempt);
    const load = asked.get(`/faulty/${name}/diffcr.json`) ?? 0;
    fault(file, await readFile(`${model}/${file}`), response, { attempt, load });
    return true;
  };
}
