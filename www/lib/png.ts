/** PNGs: the text that tells how a downloaded picture was made, and an encoder that keeps every byte. */

const SIGNATURE_BYTES = 8;
/** Signature, then IHDR: length, type, 13 bytes, CRC. */
const AFTER_HEADER = SIGNATURE_BYTES + 4 + 4 + 13 + 4;

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/** RGBA bytes as a PNG, each as it is. */
export async function encodePng({
  width,
  height,
  data,
}: {
  width: number;
  height: number;
  data: Uint8ClampedArray;
}): Promise<Uint8Array<ArrayBuffer>> {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint32(8, 0x08_06_00_00); // 8 bits, RGBA, deflate, the usual filters; not interlaced
  const lines = new Uint8Array(height * (4 * width + 1)); // each begins with its filter: none
  for (let y = 0; y < height; y += 1) lines.set(data.subarray(4 * width * y, 4 * width * (y + 1)), (4 * width + 1) * y + 1);
  const packed = new Response(new Blob([lines]).stream().pipeThrough(new CompressionStream('deflate')));
  const parts = [
    SIGNATURE,
    chunk('IHDR', new Uint8Array(header.buffer)),
    chunk('IDAT', new Uint8Array(await packed.arrayBuffer())),
    chunk('IEND', new Uint8Array()),
  ];
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/**
 * The RGBA bytes of a PNG with an alpha channel, each as it is; undefined for any other file, which a canvas reads as well. A canvas keeps
 * colours multiplied by alpha, and rounds.
 */
export async function decodeTranslucent(
  png: Uint8Array<ArrayBuffer>,
): Promise<{ width: number; height: number; data: Uint8ClampedArray<ArrayBuffer> } | undefined> {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  if (png.length < AFTER_HEADER || SIGNATURE.some((byte, i) => png[i] !== byte)) return undefined;
  const [width, height, format, interlaced] = [view.getUint32(16), view.getUint32(20), view.getUint16(24), view.getUint8(28)];
  const channels = format === 0x08_06 ? 4 : format === 0x08_04 ? 2 : 0; // 8 bits of RGBA, or of grey and alpha
  if (channels === 0 || interlaced !== 0 || width * height > 2 ** 26) return undefined;
  const packed: Uint8Array<ArrayBuffer>[] = [];
  for (let at = SIGNATURE_BYTES; at + 12 <= png.length; at += 12 + view.getUint32(at)) {
    const type = String.fromCharCode(...png.subarray(at + 4, at + 8));
    if (type === 'IDAT') packed.push(png.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  const stream = new Blob(packed).stream().pipeThrough(new DecompressionStream('deflate'));
  const lines = await new Response(stream).arrayBuffer().catch(() => undefined);
  if (lines === undefined || lines.byteLength !== height * (1 + channels * width)) return undefined;
  const pixels = unfiltered(new Uint8Array(lines), channels * width, channels);
  if (pixels === undefined || channels === 4) return pixels && { width, height, data: new Uint8ClampedArray(pixels.buffer) };
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < width * height; i += 1) data.fill(pixels[2 * i] ?? 0, 4 * i, 4 * i + 3)[4 * i + 3] = pixels[2 * i + 1] ?? 0;
  return { width, height, data };
}

/** Whether the file is a PNG of 16 bits a channel. */
export function isDeepPng(file: Uint8Array): boolean {
  return file.length >= AFTER_HEADER && SIGNATURE.every((byte, i) => file[i] === byte) && file[24] === 16;
}

/** Lines without their filters; undefined where one is unknown. */
function unfiltered(lines: Uint8Array, stride: number, channels: number): Uint8Array<ArrayBuffer> | undefined {
  const out = new Uint8Array((lines.length / (stride + 1)) * stride);
  for (let start = 0, at = 0; start < lines.length; start += stride + 1, at += stride) {
    const filter = lines[start] ?? 0;
    if (filter > 4) return undefined;
    for (let x = 0; x < stride; x += 1) {
      const left = x < channels ? 0 : (out[at + x - channels] ?? 0);
      const up = at === 0 ? 0 : (out[at + x - stride] ?? 0);
      const corner = at === 0 || x < channels ? 0 : (out[at + x - stride - channels] ?? 0);
      const guess = filter === 0 ? 0 : filter === 1 ? left : filter === 2 ? up : filter === 3 ? (left + up) >> 1 : paeth(left, up, corner);
      out[at + x] = (lines[start + 1 + x] ?? 0) + guess;
    }
  }
  return out;
}

/** Of three neighbours the one nearest to left + up − corner. */
function paeth(left: number, up: number, corner: number): number {
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

/** Length, type, data, checksum. */
function chunk(type: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(12 + data.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  out.set(new TextEncoder().encode(type), 4);
  out.set(data, 8);
  view.setUint32(8 + data.length, crc32(out.subarray(4, 8 + data.length)));
  return out;
}

/** The PNG with an `iTXt` chunk (UTF-8, uncompressed) right after its header. `png` must be a PNG file. */
export function withText(png: Uint8Array<ArrayBuffer>, keyword: string, text: string): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  // keyword NUL, not compressed, method 0, no language NUL, no translated keyword NUL, text
  const data = Uint8Array.of(...encoder.encode(keyword), 0, 0, 0, 0, 0, ...encoder.encode(text));
  const added = chunk('iTXt', data);
  const out = new Uint8Array(png.length + added.length);
  out.set(png.subarray(0, AFTER_HEADER));
  out.set(added, AFTER_HEADER);
  out.set(png.subarray(AFTER_HEADER), AFTER_HEADER + added.length);
  return out;
}

/** The checksum of PNG. */
export function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC[(crc ^ byte) & 0xff] ?? 0);
  return ~crc >>> 0;
}

/** What a byte does to the checksum. */
const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  return crc;
});

/** The text of an uncompressed `iTXt` chunk; undefined where the file is no PNG, is damaged, or has none of that keyword. */
export function readText(png: Uint8Array<ArrayBuffer>, keyword: string): string | undefined {
  if (png.length < AFTER_HEADER || SIGNATURE.some((byte, i) => png[i] !== byte)) return undefined;
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const decoder = new TextDecoder();
  for (let at = SIGNATURE_BYTES; at + 12 <= png.length;) {
    const length = view.getUint32(at);
    if (at + 12 + length > png.length) return undefined;
    const data = png.subarray(at + 8, at + 8 + length);
    if (decoder.decode(png.subarray(at + 4, at + 8)) === 'iTXt') {
      const end = data.indexOf(0);
      const compressed = data[end + 1];
      const language = data.indexOf(0, end + 3);
      const text = data.indexOf(0, language + 1) + 1;
      if (decoder.decode(data.subarray(0, end)) === keyword && compressed === 0 && text > 0) return decoder.decode(data.subarray(text));
    }
    at += 12 + length;
  }
  return undefined;
}
