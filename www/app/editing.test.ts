import { beforeEach, expect, test, vi } from 'vitest';
import { FakeImageData } from '../lib/testing/fake.ts';
import { createEditing, type Editing, type PastEdit } from './editing.ts';
import { Mask, NO_MARGINS } from './mask.ts';
import type { Action, Retouch } from './state.ts';
import type { Editor } from './views/editor.ts';
import type { Plate } from './views/picture.ts';

beforeEach(() => void vi.stubGlobal('ImageData', FakeImageData));

const picture = (width: number, height: number): ImageData => new ImageData(new Uint8ClampedArray(4 * width * height), width, height);
const file = new Blob(['photo']);
const how = { strength: 80, feather: 2, crop: true } as Retouch;

/** What an editor and a plate are told. */
function page(): { editing: Editing; actions: Action[]; mask: () => Mask; shown: () => ImageData } {
  const actions: Action[] = [];
  let mask: Mask | undefined;
  let shown: ImageData | undefined;
  const editor = {
    begin: (next: Mask) => void (mask = next),
    mask: () => mask,
    clear: () => mask?.clear(),
    tell: () => undefined,
  } as unknown as Editor;
  const plate = { finish: (image: ImageData) => void (shown = image), image: () => shown } as unknown as Plate;
  const there = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('nothing is there yet');
    return value;
  };
  const editing = createEditing(editor, plate, (action) => void actions.push(action));
  return { editing, actions, mask: () => there(mask), shown: () => there(shown) };
}

function dab(mask: Mask): void {
  mask.begin();
  mask.stroke({ x: 1, y: 1 }, { x: 1, y: 1 }, 1, true);
}

test('a picture is opened with what was painted on it before; another one is blank', () => {
  const { editing, actions, mask, shown } = page();
  editing.open();
  expect(actions).toEqual([]); // there is no picture
  editing.take(picture(1500, 20), file);
  editing.open();
  expect(actions).toEqual([{ type: 'retouch', change: { feather: 1 } }]);
  dab(mask());
  editing.leave();
  expect(actions.at(-1)).toEqual({ type: 'leave' });
  editing.open({ feather: 7 });
  expect([mask().painted, mask().width]).toEqual([true, 1500]);
  expect(actions.at(-1)).toEqual({ type: 'retouch', change: { feather: 7 } });
  editing.take(picture(30, 20), file);
  editing.open();
  expect([mask().painted, mask().width, shown().width]).toEqual([false, 30, 30]);
});

test('what is added to a picture is shown with its mask and goes with it, and only the picture itself is kept', () => {
  const { editing, mask, shown } = page();
  editing.take(picture(30, 20), file);
  editing.open();
  mask().enlarge({ ...NO_MARGINS, left: 8 });
  editing.frame();
  expect(shown().width).toBe(38);
  editing.leave();
  expect(shown().width).toBe(30);
  editing.open();
  const { redraw, edit } = editing.begin(how);
  expect([redraw.image.width, redraw.mask.width]).toEqual([38, 38]);
  expect(edit).toEqual({ source: file, mask: mask().pack(), strength: 80, feather: 2, crop: true });
});

test('after an edit the mask is undone back, or begun anew where the picture has another size', () => {
  const { editing, mask } = page();
  const past = { source: file } as PastEdit;
  editing.take(picture(30, 20), file);
  expect(() => editing.begin(how)).toThrow('there is no picture to change');
  editing.open();
  dab(mask());
  editing.take(picture(30, 20), file, { edit: past });
  editing.goOn();
  expect([mask().painted, editing.edit()]).toEqual([false, past]);
  mask().undo();
  expect(mask().painted).toBe(true);

  mask().enlarge({ ...NO_MARGINS, top: 5 });
  editing.take(picture(30, 25), file);
  editing.goOn();
  expect([mask().height, mask().painted, mask().canUndo, mask().isEnlarged]).toEqual([25, false, false, false]);
});
