/** The pictures that were drawn in this browser: PNGs with their parameters inside, kept until the reader removes them. */

import { openDB, type DBSchema, type IDBPDatabase } from 'idb';

/** A kept picture. */
export interface Drawn {
  readonly id: number;
  /** A PNG of `Output.toBlob`. */
  readonly png: Blob;
  readonly prompt: string;
  readonly seed: number;
  /** Address of the model that drew it; absent for the page's own. */
  readonly model?: string;
  /** When it was drawn, in milliseconds since 1970. */
  readonly at: number;
}

interface Schema extends DBSchema {
  pictures: { key: number; value: Omit<Drawn, 'id'> & { id?: number } };
}

/** The newest that stay. */
const MOST = 100;

export interface History {
  /** The newest first. */
  all(): Promise<Drawn[]>;
  add(picture: Omit<Drawn, 'id'>): Promise<void>;
  remove(id: number): Promise<void>;
  clear(): Promise<void>;
}

/** Rejects where the browser keeps nothing, as in some private windows. */
export async function openHistory(): Promise<History> {
  const database: IDBPDatabase<Schema> = await openDB<Schema>('diffcr-web-demo', 1, {
    upgrade: (fresh) => void fresh.createObjectStore('pictures', { keyPath: 'id', autoIncrement: true }),
  });
  return {
    async all() {
      const kept = await database.getAll('pictures');
      return kept.flatMap((each) => (each.id === undefined ? [] : [{ ...each, id: each.id }])).reverse();
    },
    async add(picture) {
      await database.add('pictures', picture);
      const keys = await database.getAllKeys('pictures');
      for (const key of keys.slice(0, Math.max(0, keys.length - MOST))) await database.delete('pictures', key);
    },
    remove: (id) => database.delete('pictures', id),
    clear: () => database.clear('pictures'),
  };
}
