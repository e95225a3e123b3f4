/** A picture of the page leaves it: as a file, on the clipboard, to another app, or as a link that draws it again. */

import type { RunParams } from 'diffcr-web';

/** A finished picture with its parameters. */
export interface Shared {
  readonly png: Blob;
  readonly params: RunParams;
}

/** `a-red-star-7.png`. */
export function fileName({ prompt, seed }: Pick<RunParams, 'prompt' | 'seed'>): string {
  const words = prompt
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 60);
  return `${words || 'picture'}-${seed}.png`;
}

export function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Whether this browser passes pictures on to other apps. */
export function canShare(): boolean {
  const file = new File([], 'picture.png', { type: 'image/png' });
  return typeof navigator.canShare === 'function' && navigator.canShare({ files: [file] });
}

/** Rejects where the reader or the browser says no. */
export async function share({ png, params }: Shared): Promise<void> {
  await navigator.share({ files: [new File([png], fileName(params), { type: 'image/png' })], title: params.prompt });
}

export async function copyPicture({ png }: Shared): Promise<void> {
  await navigator.clipboard.write([new ClipboardItem({ 'image/png': png })]);
}
