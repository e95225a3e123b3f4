/** Draws the picture that every consumer draws, and says what it is. */

export const OPTIONS = { prompt: 'a large red star on a blue background', seed: 7, steps: 2, guidance: 3 };

/** Bytes of a picture in one number (FNV-1a): a page of an opaque origin has no WebCrypto. */
export function hashOf({ data }) {
  let hash = 0x811c9dc5;
  for (const byte of data) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** What of an error crosses to a test. */
export const told = ({ name, code, message }) => ({ name, code, message });

/** The picture's hash, or its error. */
export async function draw({ loadModel }, model, options = {}) {
  try {
    const pipe = await loadModel(model, { device: 'cpu', cache: 'none', ...options });
    const out = await pipe.generate(OPTIONS);
    await pipe.dispose();
    return { hash: hashOf(out.image), width: out.image.width, backend: pipe.backend };
  } catch (error) {
    return { error: told(error) };
  }
}
