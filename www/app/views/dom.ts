/** Elements of the page by id, with their type checked once, at the start. */

export function find<T extends Element>(id: string, type: { new (): T; readonly name: string }): T {
  const element = document.getElementById(id);
  if (element instanceof type) return element;
  throw new Error(`the page has no ${type.name} with the id ${id}`);
}

/** Writes a text only when it changes, so that screen readers hear each once. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** What a number or a slider may be. */
export interface Limits {
  readonly min: number;
  readonly max: number;
  readonly step: number;
}

export function limit(input: HTMLInputElement, { min, max, step }: Limits): void {
  input.min = String(min);
  input.max = String(max);
  input.step = String(step);
}
