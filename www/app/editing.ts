/** The picture that can be changed: the file it is, what is painted over it, and the edit it came of. */

import { DiffCRError, type RunParams } from 'diffcr-web';
import { firstFeather } from './form.ts';
import type { Edit } from './history.ts';
import { Mask } from './mask.ts';
import { enlarged } from './outpaint.ts';
import type { Redraw } from './redraw.ts';
import type { Action, Retouch } from './state.ts';
import type { Editor } from './views/editor.ts';
import type { Plate } from './views/picture.ts';

/** An edit with the parameters of its run. */
export type PastEdit = Edit & { readonly params: RunParams };

export interface Editing {
  /** A picture takes the place of the last one; `mask`: what is painted over it already, `edit`: what it was made of. */
  take(image: ImageData, file: Blob, more?: { readonly mask?: Mask; readonly edit?: PastEdit | undefined }): void;
  /** What the picture was made of. */
  edit(): PastEdit | undefined;
  /** Opens the editor, with what was painted before. */
  open(change?: Partial<Retouch>): void;
  leave(): void;
  /** Shows the picture with what its mask adds to it. */
  frame(): void;
  /** What is to be drawn, and how it is kept. Throws where there is no picture. */
  begin(how: Retouch): { readonly redraw: Redraw; readonly edit: Edit };
  /** After an edit, whose picture was taken: its mask can be had back by undoing, where the picture is still of its size. */
  goOn(): void;
}

export function createEditing(editor: Editor, picture: Plate, dispatch: (action: Action) => void): Editing {
  let subject: { readonly image: ImageData; readonly file: Blob; mask?: Mask; readonly edit?: PastEdit | undefined } | undefined;
  const frame = (): void => {
    if (subject?.mask === undefined) return;
    picture.finish(subject.mask.isEnlarged ? enlarged(subject.image, subject.mask) : subject.image);
  };
  return {
    take(image, file, more = {}) {
      subject = { image, file, ...more };
    },
    edit: () => subject?.edit,
    open(change = {}) {
      if (subject === undefined) return;
      const { image } = subject;
      subject.mask ??= Mask.of(image.width, image.height);
      editor.begin(subject.mask);
      frame();
      dispatch({ type: 'retouch', change: { feather: firstFeather(image), ...change } });
      editor.tell();
    },
    leave() {
      // What was added to a picture belongs to its mask.
      if (subject !== undefined) picture.finish(subject.image);
      dispatch({ type: 'leave' });
    },
    frame,
    begin(how) {
      const image = picture.image();
      if (subject?.mask === undefined || image === undefined) {
        throw new DiffCRError('INVALID_INPUT', 'image: there is no picture to change', { field: 'image' });
      }
      const { file: source, mask } = subject;
      const { strength, feather, crop } = how;
      return { redraw: { image, mask, how }, edit: { source, mask: mask.pack(), strength, feather, crop } };
    },
    goOn() {
      const mask = editor.mask();
      if (subject === undefined || mask === undefined) return;
      const { width, height } = subject.image;
      subject.mask = mask.isEnlarged ? Mask.of(width, height) : mask;
      if (mask.isEnlarged) editor.begin(subject.mask);
      editor.clear();
    },
  };
}
