/** What the model draws, before it is there: a sentence, pictures to click, and what a first visit fetches. */

import { bytes } from '../format.ts';
import type { Form } from '../form.ts';
import { firstVisit, SHELVES } from '../shelf.ts';
import { find, say } from './dom.ts';

export function createGallery(model: string, edit: (change: Partial<Form>) => void): void {
  const shelf = SHELVES[model];
  const visit = firstVisit(model);
  const size = visit === undefined || visit.engine === 0 ? '' : bytes(visit.engine + visit.model);
  const total = size === '' ? '' : `A first visit fetches ${size}: engine and model.`;
  say(find('sentence', HTMLElement), [shelf?.sentence ?? '', total].filter((text) => text !== '').join(' '));
  say(find('weight', HTMLElement), size);
  const gallery = find('gallery', HTMLElement);
  gallery.hidden = shelf === undefined;
  gallery.replaceChildren(
    ...(shelf?.examples ?? []).map(({ prompt, seed, picture }) => {
      const button = Object.assign(document.createElement('button'), { type: 'button' as const, title: prompt });
      button.append(Object.assign(document.createElement('img'), { src: picture, alt: prompt, width: 128, height: 128 }));
      button.addEventListener('click', () => edit({ prompt, seed }));
      return button;
    }),
  );
}
