import { crc32 as zlibCrc, deflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { crc32, withText } from './png.ts';

/** Chunks of a PNG: type, data, stored checksum, computed checksum. */
function chunks(png: Uint8Array): { type: string; data: Uint8Array; stored: number; computed: number }[] {
  const view = new DataView(png.buffer, png.byteOffset);
  const found = [];
  for (let at = 8; at < png.length; ) {
    const length = view.getUint32(at);
    found.push({
      type: new TextDecoder().decode(png.subarray(at + 4, at + 8)),
      data: png.subarray(at + 8, at + 8 + length),
      stored: view.getUint32(at + 8 + length),
      computed: crc32(png.subarray(at + 4, at + 8 + length)),
    });
    at += 12 + length;
  }
  return found;
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const body = Uint8Array.of(...new TextEncoder().encode(type), ...data);
  const out = new Uint8Array(body.length + 8);
  new DataView(out.buffer).setUint32(0, data.length);
  out.set(body, 4);
  new DataView(out.buffer).setUint32(body.length + 4, crc32(body));
  return out;
}

/** One black pixel. */
const PNG = Uint8Array.of(
  0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a,
  ...chunk('IHDR', Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0)),
  ...chunk('IDAT', deflateSync(Uint8Array.of(0, 0, 0, 0))),
  ...chunk('IEND', new Uint8Array()),
);

test('the checksum is the one of PNG', () => {
  expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926);
  if (typeof zlibCrc === 'function') expect(crc32(PNG)).toBe(zlibCrc(PNG));
});

test('the text stands right after the header, and every chunk stays sound', () => {
  const text = JSON.stringify({ prompt: 'ein großer Stern ★' });
  const found = chunks(withText(PNG, 'diffcr', text));
  expect(found.map(({ type }) => type)).toEqual(['IHDR', 'iTXt', 'IDAT', 'IEND']);
  for (const { stored, computed } of found) expect(stored).toBe(computed);
  const data = found[1]?.data ?? new Uint8Array();
  expect(new TextDecoder().decode(data.subarray(0, 7))).toBe('diffcr\0');
  expect(new TextDecoder().decode(data.subarray('diffcr'.length + 5))).toBe(text);
});
