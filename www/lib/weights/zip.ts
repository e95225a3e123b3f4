/** Files of a zip, read one by one where they lie: nothing is unpacked before it is asked for. */

import { invalid } from '../options.ts';

const END = 0x06054b50;
const ENTRY = 0x02014b50;
/** The longest comment, and the record before it. */
const TAIL = 65_535 + 22;
const STORED = 0;
const DEFLATED = 8;

/** The zip's files by path. Rejects with `INVALID_INPUT` on `url` where it is none, or needs zip64. */
export async function unzip(zip: Blob): Promise<Map<string, () => Promise<Blob>>> {
  const fault = (reason: string): Error => invalid('url', `the file is no zip that can be read: ${reason}`);
  const tail = await view(zip, Math.max(0, zip.size - TAIL), zip.size);
  let end = tail.byteLength - 22;
  while (end >= 0 && tail.getUint32(end, true) !== END) end -= 1;
  if (end < 0) throw fault('it has no directory');
  const [count, size, start] = [tail.getUint16(end + 10, true), tail.getUint32(end + 12, true), tail.getUint32(end + 16, true)];
  if (count === 0xffff || start === 0xffffffff) throw fault('it is a zip64');
  const directory = await view(zip, start, start + size);
  const files = new Map<string, () => Promise<Blob>>();
  for (let i = 0, at = 0; i < count; i += 1) {
    if (at + 46 > directory.byteLength || directory.getUint32(at, true) !== ENTRY) throw fault('its directory is damaged');
    const [method, packed] = [directory.getUint16(at + 10, true), directory.getUint32(at + 20, true)];
    const [name, extra, comment] = [28, 30, 32].map((field) => directory.getUint16(at + field, true)) as [number, number, number];
    const offset = directory.getUint32(at + 42, true);
    if (at + 46 + name > directory.byteLength) throw fault('its directory is damaged');
    const path = new TextDecoder().decode(new Uint8Array(directory.buffer, directory.byteOffset + at + 46, name));
    if (method !== STORED && method !== DEFLATED) throw fault(`${path} is packed by method ${method}`);
    files.set(path, () => extract(zip, offset, packed, method));
    at += 46 + name + extra + comment;
  }
  return files;
}

async function extract(zip: Blob, offset: number, packed: number, method: number): Promise<Blob> {
  const local = await view(zip, offset, offset + 30);
  const start = offset + 30 + local.getUint16(26, true) + local.getUint16(28, true);
  const data = zip.slice(start, start + packed);
  if (method === STORED) return data;
  return await new Response(data.stream().pipeThrough(new DecompressionStream('deflate-raw'))).blob();
}

async function view(blob: Blob, start: number, end: number): Promise<DataView> {
  return new DataView(await blob.slice(start, end).arrayBuffer());
}
