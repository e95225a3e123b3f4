/** Whether a file's bytes are the ones its manifest promises: length first, then SHA-256. */

import type { FileEntry } from '../protocol.ts';

/** Why the bytes are not the file, or undefined when they are. */
export async function verify(bytes: Uint8Array<ArrayBuffer>, entry: FileEntry): Promise<string | undefined> {
  if (bytes.byteLength < entry.bytes) return `truncated: ${bytes.byteLength} of ${entry.bytes} bytes came`;
  if (bytes.byteLength > entry.bytes) return `longer than the ${entry.bytes} bytes the manifest promises`;
  const hash = await sha256(bytes);
  if (hash !== undefined && hash !== entry.sha256)
    return `altered: its SHA-256 begins with ${hash.slice(0, 8)}, not with ${entry.sha256.slice(0, 8)}`;
  return undefined;
}

/** Whether {@link verify} compares hashes here; where it does not, the wasm module's own check stands alone. */
export function hashes(): boolean {
  return (globalThis.crypto?.subtle as SubtleCrypto | undefined) !== undefined;
}

/** Lower-case hex; undefined on pages without WebCrypto (plain http). */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string | undefined> {
  const subtle: SubtleCrypto | undefined = globalThis.crypto?.subtle;
  if (subtle === undefined) return undefined;
  const digest = new Uint8Array(await subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
