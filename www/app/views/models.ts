/** The models that can be drawn with: the page's own, any address, files of the reader's; and what this browser keeps, to be removed. */

import type { KeptModel, ModelSource } from 'diffcr-web';
import { bytes } from '../format.ts';
import { ownModels } from '../shelf.ts';
import { find, say } from './dom.ts';

export interface ModelsView {
  /** What the browser keeps. */
  show(kept: readonly KeptModel[]): void;
}

export interface ModelsEvents {
  /** Another address is asked for. */
  readonly open: (model: string) => void;
  /** Files of this device are. */
  readonly local: (source: ModelSource) => void;
  readonly remove: (url: string) => void;
}

/** `current`: the model of this page. */
export function createModels(current: string, events: ModelsEvents): ModelsView {
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
  const local = find('model-local', HTMLElement);
  const files = (button: string, field: string, source: (files: readonly File[]) => ModelSource | undefined): void => {
    const input = find(field, HTMLInputElement);
    find(button, HTMLButtonElement).addEventListener('click', () => input.click());
    input.addEventListener('change', () => {
      const chosen = [...(input.files ?? [])];
      input.value = '';
      const found = chosen.length === 0 ? undefined : source(chosen);
      if (found === undefined) return;
      say(local, `${chosen[0]?.webkitRelativePath.split('/')[0] || chosen[0]?.name}, until the page is left`);
      events.local(found);
    });
  };
  files('model-folder', 'model-folder-files', (chosen) => chosen);
  files('model-zip', 'model-zip-file', ([zip]) => zip);
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
