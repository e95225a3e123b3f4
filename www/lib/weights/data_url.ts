/** Files that a bundler wrote into their addresses, as it does with small ones: read here, for a CSP may forbid to fetch them. */

/** The bytes of a `data:` address; undefined where it is another kind of address. */
export function dataOf(url: string): Uint8Array<ArrayBuffer> | undefined {
  const [, base64, text] = /^data:[^,]*?(;base64)?,(.*)$/s.exec(url) ?? [];
  if (text === undefined) return undefined;
  if (base64 === undefined) return new TextEncoder().encode(decodeURIComponent(text));
  return Uint8Array.from(atob(decodeURIComponent(text)), (char) => char.charCodeAt(0));
}
