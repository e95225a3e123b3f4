/** Text inside a PNG: how a downloaded picture carries the parameters it was made with. */

const SIGNATURE_BYTES = 8;
/** Signature, then IHDR: length, type, 13 bytes, CRC. */
const AFTER_HEADER = SIGNATURE_BYTES + 4 + 4 + 13 + 4;

/** The PNG with an `iTXt` chunk (UTF-8, uncompressed) right after its header. `png` must be a PNG file. */
export function withText(png: Uint8Array<ArrayBuffer>, keyword: string, text: string): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  // keyword NUL, not compressed, method 0, no language NUL, no translated keyword NUL, text
  const type = encoder.encode('iTXt');
  const data = Uint8Array.of(...encoder.encode(keyword), 0, 0, 0, 0, 0, ...encoder.encode(text));
  const out = new Uint8Array(png.length + 12 + data.length);
  const view = new DataView(out.buffer);
  out.set(png.subarray(0, AFTER_HEADER));
  view.setUint32(AFTER_HEADER, data.length);
  out.set(type, AFTER_HEADER + 4);
  out.set(data, AFTER_HEADER + 8);
  view.setUint32(AFTER_HEADER + 8 + data.length, crc32(out.subarray(AFTER_HEADER + 4, AFTER_HEADER + 8 + data.length)));
  out.set(png.subarray(AFTER_HEADER), AFTER_HEADER + 12 + data.length);
  return out;
}

/** The checksum of PNG, bit by bit: it runs over a few hundred bytes. */
export function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
