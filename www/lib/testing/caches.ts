/** For unit tests only: the browser's caches, in memory, with a fault of choice. */

export class FakeCaches {
  readonly entries = new Map<string, Uint8Array<ArrayBuffer>>();
  /** What writing throws. */
  refuses: unknown;

  async open(): Promise<FakeCaches> {
    return this;
  }

  async match(key: string): Promise<Response | undefined> {
    const bytes = this.entries.get(key);
    return bytes === undefined ? undefined : new Response(bytes);
  }

  async put(key: string, response: Response): Promise<void> {
    if (this.refuses !== undefined) throw this.refuses;
    this.entries.set(key, new Uint8Array(await response.arrayBuffer()));
  }

  /** An entry by its key; without any the whole cache, as the platform's two objects do it. */
  async delete(key: string): Promise<boolean> {
    if (this.entries.delete(key)) return true;
    if (key.includes(':')) return false;
    this.entries.clear();
    return true;
  }

  async keys(): Promise<{ url: string }[]> {
    return [...this.entries.keys()].map((url) => ({ url }));
  }
}
