/** Asking the browser not to evict what was kept. */

/** From this size of a model on it is worth a question, which some browsers pass on to the user. */
const LARGE_BYTES = 64 * 2 ** 20;
const PATIENCE_MS = 5000;

/** What the browser answered for a model of so many bytes; undefined where it was not asked, or does not answer. */
export async function askToPersist(bytes: number): Promise<boolean | undefined> {
  const storage: StorageManager | undefined = globalThis.navigator?.storage;
  if (bytes < LARGE_BYTES || typeof storage?.persist !== 'function') return undefined;
  const late = new Promise<undefined>((resolve) => setTimeout(resolve, PATIENCE_MS));
  return await Promise.race([storage.persist().catch(() => undefined), late]);
}
