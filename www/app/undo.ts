/** Steps back and forth, as many as fit into memory. What a step is, is its owner's. */

/** What a step needs to be taken back. */
export interface Weighed {
  readonly bytes: number;
}

export class Undo<Step extends Weighed> {
  /** Bytes that the steps may take together; the newest stays whatever it takes. */
  readonly #limit: number;
  #past: Step[] = [];
  #future: Step[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get canUndo(): boolean {
    return this.#past.length > 0;
  }

  get canRedo(): boolean {
    return this.#future.length > 0;
  }

  get bytes(): number {
    return [...this.#past, ...this.#future].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Keeps a step that was done; what had been taken back before is gone, and the oldest steps where it is too much. */
  push(step: Step): void {
    this.#future = [];
    this.#past.push(step);
    let { bytes } = this;
    while (bytes > this.#limit && this.#past.length > 1) bytes -= this.#past.shift()?.bytes ?? 0;
  }

  /** `swap` takes a step back and returns the one that does it again. */
  undo(swap: (step: Step) => Step): void {
    const step = this.#past.pop();
    if (step !== undefined) this.#future.push(swap(step));
  }

  redo(swap: (step: Step) => Step): void {
    const step = this.#future.pop();
    if (step !== undefined) this.#past.push(swap(step));
  }
}
