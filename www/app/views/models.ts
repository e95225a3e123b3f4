/** The models that can be drawn with: the page's own and any address; and what this browser keeps of each, to be removed. */

import type { KeptModel } from 'diffcr-web';
import { bytes } from '../format.ts';
import { ownModels } from '../shelf.ts';
import { find } from './dom.ts';

export interface ModelsView {
  /** What the browser keeps. */
  show(kept: readonly KeptModel[]): void;
}

/** `current`: the model of this page. */
export function createModels(
  current: string,
  events: { readonly open: (model: string) => void; readonly remove: (url: string) => void },
): ModelsView {
  const form = find('models-form', HTMLFormElement);
  const select = find('models', HTMLSelectElement);
  const address = find('model-address', HTMLInputElement);
  const list = find('models-kept', HTMLUListElement);
  const own = ownModels();
  select.append(...own.map(({ model, name, size }) => new Option(`${name}, ${bytes(size)}`, model)), new Option('another address', ''));
  select.value = own.some(({ model }) => model === current) ? current : '';
  address.value = select.value === '' ? current : '';
  const follow = (): void => {
    address.hidden = select.value !== '';
    address.required = !address.hidden;
  };
  follow();
  select.addEventListener('change', () => {
    follow();
    if (select.value === '') address.focus();
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    events.open(select.value === '' ? address.value : select.value);
  });
  return {
    show(kept) {
      list.replaceChildren(
        ...kept.map(({ url, name, bytes: size, complete }) => {
          const item = document.createElement('li');
          const remove = Object.assign(document.createElement('button'), { type: 'button' as const, textContent: 'Remove' });
          remove.className = 'quiet';
          remove.setAttribute('aria-label', `Remove what is kept of ${name}`);
          remove.addEventListener('click', () => events.remove(url));
          const text = Object.assign(document.createElement('span'), {
            textContent: `${name}: ${bytes(size)}${complete ? '' : ', not all of it'}`,
            title: url,
          });
          item.append(text, remove);
          return item;
        }),
      );
    },
  };
}
