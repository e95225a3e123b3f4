/** The pictures of one run of four: each a button that shows it. */

import type { Output } from 'diffcr-web';
import { find } from './dom.ts';

export interface BatchView {
  /** Shows the pictures to choose from, the first chosen; a single one needs no choice. */
  keep(outputs: readonly Output[]): void;
}

export function createBatch(choose: (output: Output) => void): BatchView {
  const group = find('batch', HTMLElement);
  return {
    keep(outputs) {
      group.hidden = outputs.length < 2;
      const buttons = outputs.length < 2 ? [] : outputs.map((output) => thumbnail(output));
      for (const [i, button] of buttons.entries()) {
        button.setAttribute('aria-pressed', String(i === 0));
        button.addEventListener('click', () => {
          for (const each of buttons) each.setAttribute('aria-pressed', String(each === button));
          const output = outputs[i];
          if (output !== undefined) choose(output);
        });
      }
      group.replaceChildren(...buttons);
    },
  };
}

function thumbnail({ image, seed }: Output): HTMLButtonElement {
  const button = document.createElement('button');
  button.type = 'button';
  button.setAttribute('aria-label', `The picture of seed ${seed}`);
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [image.width, image.height];
  canvas.getContext('2d')?.putImageData(image, 0, 0);
  button.append(canvas);
  return button;
}
