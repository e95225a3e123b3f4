/** The ways in for a file of the reader's: the button, the clipboard, and a drop anywhere on the page. */

import { find } from './dom.ts';

export function createFiles(open: (file: Blob) => void): void {
  const input = find('file', HTMLInputElement);
  const sheet = find('sheet', HTMLElement);
  const take = (list: FileList | null | undefined): boolean => {
    const image = [...(list ?? [])].find(({ type }) => type.startsWith('image/'));
    if (image !== undefined) open(image);
    return image !== undefined;
  };
  /** The first image, or else whatever it is: who opens it says why it cannot be read. */
  const takeAny = (list: FileList | undefined): void => {
    const [first] = list ?? [];
    if (!take(list) && first !== undefined) open(first);
  };
  find('open', HTMLButtonElement).addEventListener('click', () => input.click());
  input.addEventListener('change', () => {
    takeAny(input.files ?? undefined);
    input.value = '';
  });
  document.addEventListener('paste', (event) => {
    // A text that comes with a picture of itself, as office programs copy it, stays a text.
    if (event.clipboardData?.types.includes('text/plain') === true) return;
    if (take(event.clipboardData?.files)) event.preventDefault();
  });
  // Anywhere on the page: a file that is dropped beside the picture would otherwise take the page's place.
  for (const type of ['dragenter', 'dragover', 'dragleave', 'drop'] as const) {
    document.addEventListener(type, (event) => {
      if (!(event.dataTransfer?.types.includes('Files') ?? false)) return;
      event.preventDefault();
      sheet.dataset['drop'] = String(type === 'dragenter' || type === 'dragover');
      if (type === 'drop') takeAny(event.dataTransfer?.files);
    });
  }
}
