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
