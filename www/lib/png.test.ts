import { crc32 as zlibCrc, deflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { crc32, decodeTranslucent, encodePng, withText } from './png.ts';

/** Chunks of a PNG: type, data, stored checksum, computed checksum. */
function chunks(png: Uint8Array): { type: string; data: Uint8Array; stored: number; computed: number }[] {
  const view = new DataView(png.buffer, png.byteOffset);
  const found = [];
  for (let at = 8; at < png.length;) {
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
  0x89,
  0x50,
  0x4e,
  0x47,
  0x0d,
  0x0a,
  0x1a,
  0x0a,
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

/** RGBA with every filter in turn, as an encoder would write it. */
function filtered(width: number, height: number, channels: number, data: Uint8Array, kind: number): Uint8Array<ArrayBuffer> {
  const stride = channels * width;
  const at = (x: number, y: number): number => (x < 0 || y < 0 ? 0 : (data[y * stride + x] ?? 0));
  const lines = Array.from({ length: height }, (_, y) => {
    const filter = y % 5;
    const line = Array.from({ length: stride }, (_, x) => {
      const [left, up, corner] = [at(x - channels, y), at(x, y - 1), x < channels ? 0 : at(x - channels, y - 1)];
      const near = [left, up, corner].reduce((best, each) =>
        Math.abs(left + up - corner - each) < Math.abs(left + up - corner - best) ? each : best,
      );
      return at(x, y) - ([0, left, up, (left + up) >> 1, near][filter] ?? 0);
    });
    return [filter, ...line];
  });
  const header = Uint8Array.of(0, 0, 0, width, 0, 0, 0, height, 8, kind, 0, 0, 0);
  const idat = deflateSync(Uint8Array.from(lines.flat()));
  const parts = [
    ...chunk('IHDR', header),
    ...chunk('IDAT', idat.subarray(0, 9)),
    ...chunk('IDAT', idat.subarray(9)),
    ...chunk('IEND', new Uint8Array()),
  ];
  return Uint8Array.of(...PNG.subarray(0, 8), ...parts);
}

test('translucent PNGs are read as they are, whatever their filters', async () => {
  const data = Uint8Array.from({ length: 4 * 5 * 9 }, (_, i) => (i * 89 + i * i) % 256);
  expect(await decodeTranslucent(filtered(5, 9, 4, data, 6))).toEqual({ width: 5, height: 9, data: Uint8ClampedArray.from(data) });
  const grey = data.subarray(0, 2 * 5 * 9);
  const read = await decodeTranslucent(filtered(5, 9, 2, grey, 4));
  expect([...(read?.data.subarray(0, 8) ?? [])]).toEqual([grey[0], grey[0], grey[0], grey[1], grey[2], grey[2], grey[2], grey[3]]);
  const written = await encodePng({ width: 5, height: 9, data: Uint8ClampedArray.from(data) });
  expect((await decodeTranslucent(written))?.data).toEqual(Uint8ClampedArray.from(data));
});

test('what is not a sound translucent PNG is left to the browser', async () => {
  const whole = filtered(5, 9, 4, new Uint8Array(4 * 5 * 9), 6);
  for (const png of [PNG, whole.slice(0, 20), whole.slice(0, -30), Uint8Array.of(1, 2, 3), new Uint8Array()])
    expect(await decodeTranslucent(png)).toBeUndefined();
});
