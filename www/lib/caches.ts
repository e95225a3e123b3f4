/** The browser's store of replies, where what is fetched or found out once is kept. */

/** The browser's caches; undefined where it has none, or none for this page. */
export function platformCaches(): CacheStorage | undefined {
  try {
    return globalThis.caches;
  } catch {
    return undefined;
  }
}
