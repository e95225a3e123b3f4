/** The code of the picture that is shown, to be copied into another page. */

import { codeOf, INSTALL } from '../code.ts';
import { find, say } from './dom.ts';

/** Whether the page lies beside its documentation; written in when it is built. */
declare const SITE: boolean;

export interface CodeView {
  /** Shows the code of a run with the bundle at `model`, a full address. */
  show(model: string, params: Parameters<typeof codeOf>[1]): void;
}

export function createCode(events: { readonly copy: (text: string) => void }): CodeView {
  const code = find('code', HTMLElement);
  find('docs', HTMLAnchorElement).hidden = !SITE;
  say(find('install', HTMLElement), INSTALL);
  find('copy-code', HTMLButtonElement).addEventListener('click', () => events.copy(code.textContent));
  return {
    show(model, params) {
      say(code, codeOf(model, params));
    },
  };
}
