/** What the browser keeps of the model between visits, and the button that removes it. */

import { bytes } from '../format.ts';
import type { Kept, State } from '../state.ts';
import { find, say } from './dom.ts';

export function createStorage(events: { readonly remove: () => void }): (state: State) => void {
  const text = find('kept', HTMLElement);
  const remove = find('remove', HTMLButtonElement);
  remove.addEventListener('click', events.remove);

  return ({ kept, model }) => {
    say(text, kept === undefined ? '' : textOf(kept));
    const focused = document.activeElement === remove;
    remove.hidden = kept === undefined || kept.state === 'removed';
    if (focused && remove.hidden) text.focus();
    // What is coming in would be kept again.
    remove.disabled = model.kind === 'loading';
  };
}

function textOf({ bytes: count, state }: Kept): string {
  switch (state) {
    case 'there':
      return `This browser keeps ${bytes(count)} of weights, so that the next visit need not fetch them.`;
    case 'part':
      return `This browser had room for ${bytes(count)} of the weights only; the next visit fetches the rest again.`;
    case 'removed':
      return `${bytes(count)} of weights were removed from this browser; the next visit fetches them again.`;
    case 'stuck':
      return `The browser did not remove the ${bytes(count)} of weights that it keeps.`;
  }
}
