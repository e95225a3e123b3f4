/** The editor of a part of the picture: its tools and shortcuts, what they do to the mask, and the view of before and after. */

import { NO_MARGINS, type Margins, type Mask } from '../mask.ts';
import { oneMore } from '../outpaint.ts';
import { hasPicture, type Retouch, type State } from '../state.ts';
import { find, say } from './dom.ts';
import { paint } from './paint.ts';
import { createSurface } from './surface.ts';

export interface EditorEvents {
  readonly retouch: () => void;
  /** The last edit once more, from its source and with its mask. */
  readonly reopen: () => void;
  readonly leave: () => void;
  readonly tool: (change: Partial<Retouch>) => void;
  readonly compare: (before: number) => void;
  /** Something was added to the picture, or taken away again: see {@link Editor.mask}. */
  readonly resized: () => void;
}

export interface Editor {
  render(state: State): void;
  /** Paints on that mask from now on. */
  begin(mask: Mask): void;
  /** What was there before a change, to compare with. */
  keep(image: ImageData): void;
  mask(): Mask | undefined;
  clear(): void;
  /** Says anew what is painted, and what can be undone. */
  tell(): void;
}

const SIDES = ['left', 'right', 'top', 'bottom'] as const;

export function createEditor(events: EditorEvents): Editor {
  const before = find('before', HTMLCanvasElement);
  const tools = find('tools', HTMLElement);
  const open = find('open', HTMLButtonElement);
  const compare = find('compare', HTMLInputElement);
  const crop = find('crop', HTMLInputElement);
  const button = (id: string): HTMLButtonElement => find(id, HTMLButtonElement);
  const [retouch, reopen, brush, eraser, undo, redo] = [
    button('retouch'),
    button('reopen'),
    button('brush'),
    button('eraser'),
    button('undo'),
    button('redo'),
  ];
  const ranges = (['size', 'strength', 'feather'] as const).map((key) => ({
    key,
    input: find(key, HTMLInputElement),
    output: find(`${key}-value`, HTMLOutputElement),
  }));
  let tool: Retouch | undefined;
  let drawing = false;
  /** The control that led here, to which leaving leads back. */
  let opener: Element | null = null;

  const tell = (): void => {
    const mask = surface.mask();
    if (mask !== undefined) events.tool({ painted: mask.painted, canUndo: mask.canUndo, canRedo: mask.canRedo });
  };
  const surface = createSurface({
    changed: tell,
    resized: events.resized,
    scaled: (scale) => {
      say(find('zoom-value', HTMLOutputElement), `${Math.round(100 * scale)} %`);
    },
  });
  const { canvas } = surface;
  const change = (how: (mask: Mask) => void): void => {
    if (!drawing) surface.change(how);
  };
  const added = (side: (typeof SIDES)[number], mask = surface.mask()): Margins => (mask === undefined ? NO_MARGINS : oneMore(side, mask));

  // Anywhere but where something is typed; the brush itself moves where the picture has the focus.
  document.addEventListener('keydown', (event) => {
    const { target } = event;
    if (tool === undefined || drawing || event.altKey || event.isComposing || isTyping(target)) return;
    const key = event.key.toLowerCase();
    const control = event.ctrlKey || event.metaKey;
    if (control && key === 'z') change((mask) => (event.shiftKey ? mask.redo() : mask.undo()));
    else if (control && key === 'y') change((mask) => mask.redo());
    else if (control) return;
    else if (key === 'b' || key === 'e') events.tool({ tool: key === 'b' ? 'brush' : 'eraser' });
    else if (key === '[' || key === ']') {
      const step = tool.size < 4 || (tool.size === 4 && key === '[') ? 0.5 : 2;
      events.tool({ size: tool.size + (key === '[' ? -step : step) });
      surface.preview();
    } else if (key === '+' || key === '=') surface.zoom(2);
    else if (key === '-') surface.zoom(0.5);
    else if (key === '0') surface.showWhole();
    else if (key === 'escape') events.leave();
    else if (target !== canvas || !surface.press(event)) return;
    event.preventDefault();
  });

  brush.addEventListener('click', () => events.tool({ tool: 'brush' }));
  eraser.addEventListener('click', () => events.tool({ tool: 'eraser' }));
  undo.addEventListener('click', () => change((mask) => mask.undo()));
  redo.addEventListener('click', () => change((mask) => mask.redo()));
  button('clear').addEventListener('click', () => change((mask) => mask.clear()));
  button('invert').addEventListener('click', () => change((mask) => mask.invert()));
  button('leave').addEventListener('click', events.leave);
  button('zoom-in').addEventListener('click', () => surface.zoom(2));
  button('zoom-out').addEventListener('click', () => surface.zoom(0.5));
  button('zoom-whole').addEventListener('click', () => surface.showWhole());
  for (const side of SIDES) button(`enlarge-${side}`).addEventListener('click', () => change((mask) => mask.enlarge(added(side))));
  for (const { key, input } of ranges) {
    input.addEventListener('input', () => {
      events.tool({ [key]: input.valueAsNumber });
      if (key !== 'strength') surface.preview();
    });
  }
  crop.addEventListener('change', () => events.tool({ crop: crop.checked }));
  compare.addEventListener('input', () => events.compare(compare.valueAsNumber));
  retouch.addEventListener('click', events.retouch);
  reopen.addEventListener('click', events.reopen);

  /** Back to the control that led here, or to the one that leads here again. */
  const back = (): void => {
    const visible = (element: Element | null): element is HTMLElement =>
      element instanceof HTMLElement && element !== document.body && element.getClientRects().length > 0;
    [opener, retouch, open].find(visible)?.focus();
  };

  return {
    render(state) {
      const { activeElement } = document;
      const entering = tool === undefined && state.retouch !== undefined;
      const inside = activeElement === document.body || activeElement === canvas || tools.contains(activeElement);
      const leaving = tool !== undefined && state.retouch === undefined && inside;
      tool = state.retouch;
      drawing = state.run.kind === 'running' || state.run.kind === 'waiting';
      const comparing = !drawing && state.before !== undefined && state.before > 0;
      surface.render(tool, !drawing && !comparing);
      tools.hidden = tool === undefined;
      open.disabled = button('leave').disabled = drawing;
      retouch.hidden = tool !== undefined || drawing || !hasPicture(state);
      reopen.hidden = retouch.hidden || !state.edited;
      find('compare-field', HTMLElement).hidden = drawing || state.before === undefined;
      before.hidden = !comparing;
      before.style.clipPath = `inset(0 ${100 - (state.before ?? 0)}% 0 0)`;
      compare.value = String(state.before ?? 0);
      const [name, left, right] =
        state.against === 'dense' ? ['Dense and routed', 'dense', 'routed'] : ['Before and after', 'before', 'after'];
      say(find('compare-name', HTMLElement), name);
      const all = state.before === undefined || state.before === 0 ? right : state.before === 100 ? left : undefined;
      say(find('compare-value', HTMLOutputElement), all ?? `${state.before} % ${left}`);
      if (entering) opener = activeElement;
      if (entering) canvas.focus();
      if (leaving) back();
      if (tool === undefined) return;
      brush.setAttribute('aria-pressed', String(tool.tool === 'brush'));
      eraser.setAttribute('aria-pressed', String(tool.tool === 'eraser'));
      undo.disabled = drawing || !tool.canUndo;
      redo.disabled = drawing || !tool.canRedo;
      for (const side of SIDES) button(`enlarge-${side}`).disabled = drawing || added(side) === NO_MARGINS;
      for (const { key, input, output } of ranges) {
        if (input.valueAsNumber !== tool[key]) input.valueAsNumber = tool[key];
        say(output, `${tool[key]} %`);
      }
      crop.checked = tool.crop;
    },
    begin: (mask) => surface.begin(mask),
    keep: (image) => paint(before, image),
    mask: () => surface.mask(),
    clear: () => surface.change((mask) => mask.clear()),
    tell,
  };
}

/** Whether what is pressed there is a text. */
function isTyping(target: EventTarget | null): boolean {
  if (target instanceof HTMLInputElement) return !['range', 'checkbox', 'file'].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
