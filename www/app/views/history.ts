/** The strip of pictures drawn before: each opens with its settings, or goes. */

import type { Drawn } from '../history.ts';
import { find, say } from './dom.ts';

export interface HistoryEvents {
  readonly open: (drawn: Drawn) => void;
  readonly remove: (drawn: Drawn) => void;
  readonly clear: () => void;
}

/** Shows what is kept, the newest first. */
export function createHistory(events: HistoryEvents): (all: readonly Drawn[]) => void {
  const section = find('history', HTMLElement);
  const list = find('history-list', HTMLElement);
  const count = find('history-count', HTMLElement);
  const clear = find('history-clear', HTMLButtonElement);
  let addresses: string[] = [];
  /** The second press deletes: pictures do not come back. */
  const ask = (sure: boolean): void => {
    clear.dataset['sure'] = String(sure);
    say(clear, sure ? 'Press again to delete them all' : 'Delete all');
  };
  clear.addEventListener('click', () => {
    if (clear.dataset['sure'] === 'true') events.clear();
    ask(clear.dataset['sure'] !== 'true');
  });
  clear.addEventListener('blur', () => ask(false));

  return (all) => {
    section.hidden = all.length === 0;
    say(count, all.length === 1 ? '1 picture' : `${all.length} pictures`);
    for (const address of addresses) URL.revokeObjectURL(address);
    addresses = [];
    const focused = [...list.children].findIndex((item) => item.contains(document.activeElement));
    list.replaceChildren(
      ...all.map((drawn) => {
        const address = URL.createObjectURL(drawn.small ?? drawn.png);
        addresses.push(address);
        return itemOf(drawn, address, events);
      }),
    );
    const next = list.children[Math.min(focused, all.length - 1)]?.querySelector<HTMLElement>('.history-remove');
    if (focused >= 0) (next ?? find('generate', HTMLElement)).focus();
  };
}

function itemOf(drawn: Drawn, address: string, events: HistoryEvents): HTMLLIElement {
  const name = drawn.prompt === '' ? `Seed ${drawn.seed}` : `${drawn.prompt}, seed ${drawn.seed}`;
  const open = button('', `Open: ${name}`, () => events.open(drawn));
  const image = Object.assign(document.createElement('img'), { src: address, alt: '', width: 96, height: 96, loading: 'lazy' as const });
  open.append(image);
  open.title = name;
  const remove = button('×', `Delete: ${name}`, () => events.remove(drawn));
  remove.className = 'history-remove';
  const item = document.createElement('li');
  item.append(open, remove);
  return item;
}

function button(text: string, label: string, click: () => void): HTMLButtonElement {
  const element = Object.assign(document.createElement('button'), { type: 'button' as const, textContent: text });
  element.setAttribute('aria-label', label);
  element.addEventListener('click', click);
  return element;
}
