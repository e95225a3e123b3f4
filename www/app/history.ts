/** The pictures that were drawn in this browser: PNGs with their parameters inside, kept until the reader removes them. */

import { openDB, type DBSchema, type IDBPDatabase } from 'idb';
import type { PackedMask } from './mask.ts';
import type { Retouch } from './state.ts';

/** What an edit was made of, beside the parameters that its picture carries. */
export interface Edit extends Pick<Retouch, 'strength' | 'feather' | 'crop'> {
  /** The file that was changed, as it was before it was enlarged. */
  readonly source: Blob;
  readonly mask: PackedMask;
}

/** A kept picture. */
export interface Drawn {
  readonly id: number;
  /** A PNG of `Output.toBlob`. */
  readonly png: Blob;
  /** A smaller copy of a large one. */
  readonly small?: Blob;
  readonly prompt: string;
  readonly seed: number;
  /** Address of the model that drew it; absent for the page's own. */
  readonly model?: string;
  /** When it was drawn, in milliseconds since 1970. */
  readonly at: number;
  /** Of a picture of which a part was drawn anew. */
  readonly edit?: Edit;
}

interface Schema extends DBSchema {
  pictures: { key: number; value: Omit<Drawn, 'id'> & { id?: number } };
}

/** The newest that stay, and the bytes that they may take together. */
const MOST = 100;
const MOST_BYTES = 512 * 1024 * 1024;

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
      const kept = await database.getAll('pictures');
      for (const { id } of surplus(kept)) if (id !== undefined) await database.delete('pictures', id);
    },
    remove: (id) => database.delete('pictures', id),
    clear: () => database.clear('pictures'),
  };
}

/** The oldest of `kept`, which go so that the rest fits; the newest stays whatever it takes. */
export function surplus<T extends Pick<Drawn, 'png' | 'edit'>>(kept: readonly T[], most = MOST, mostBytes = MOST_BYTES): readonly T[] {
  let bytes = 0;
  const newest = kept.toReversed();
  const full = newest.findIndex(({ png, edit }, i) => {
    bytes += png.size + (edit === undefined ? 0 : edit.source.size + edit.mask.runs.byteLength);
    return i >= most || (i > 0 && bytes > mostBytes);
  });
  return full < 0 ? [] : newest.slice(full);
}
