/** The mask editor over the picture: brush and eraser by pointer, touch or keyboard, undo, and the view of before and after. */

import { Mask, type Area, type Point } from '../mask.ts';
import { hasPicture, type Retouch, type State } from '../state.ts';
import { find, say } from './dom.ts';

export interface EditorEvents {
  readonly open: (file: Blob) => void;
  readonly retouch: () => void;
  readonly leave: () => void;
  readonly tool: (change: Partial<Retouch>) => void;
  readonly compare: (before: number) => void;
}

export interface Editor {
  render(state: State): void;
  /** A fresh mask for a picture of that size. */
  begin(width: number, height: number): void;
  /** What was there before a change, to compare with. */
  keep(image: ImageData): void;
  /** White where it is painted. */
  mask(): ImageData | undefined;
  clear(): void;
}

/** How the mask is shown: stripes that are seen on any picture; the canvas itself is translucent. */
const COLOR = [214, 40, 160] as const;
const STRIPE = [255, 240, 250] as const;
const WHITE = [255, 255, 255] as const;

export function createEditor(events: EditorEvents): Editor {
  const canvas = find('mask', HTMLCanvasElement);
  const before = find('before', HTMLCanvasElement);
  const ring = find('ring', HTMLElement);
  const sheet = find('sheet', HTMLElement);
  const tools = find('tools', HTMLElement);
  const retouch = find('retouch', HTMLButtonElement);
  const open = find('open', HTMLButtonElement);
  const file = find('file', HTMLInputElement);
  const compare = find('compare', HTMLInputElement);
  const button = (id: string): HTMLButtonElement => find(id, HTMLButtonElement);
  const [brush, eraser, undo, redo] = [button('brush'), button('eraser'), button('undo'), button('redo')];
  const ranges = (['size', 'strength', 'feather'] as const).map((key) => ({
    key,
    input: find(key, HTMLInputElement),
    output: find(`${key}-value`, HTMLOutputElement),
  }));
  const crop = find('crop', HTMLInputElement);
  let mask: Mask | undefined;
  let tool: Retouch | undefined;
  let last: Point | undefined;
  /** Where the keyboard's brush is. */
  let at: Point = { x: 0, y: 0 };

  const show = ({ left, top, right, bottom }: Area): void => {
    if (mask === undefined || right <= left || bottom <= top) return;
    const pixels = mask.pixels({ left, top, right, bottom }, COLOR, STRIPE);
    canvas.getContext('2d')?.putImageData(new ImageData(pixels, right - left, bottom - top), left, top);
  };
  const tell = (): void => {
    if (mask !== undefined) events.tool({ painted: mask.painted, canUndo: mask.canUndo, canRedo: mask.canRedo });
  };
  /** Changes the mask as a whole. */
  const change = (how: (mask: Mask) => void): void => {
    if (mask === undefined || busy()) return;
    how(mask);
    show(mask.whole);
    tell();
  };
  const busy = (): boolean => canvas.dataset['busy'] === 'true';
  const radius = (): number => ((tool?.size ?? 20) / 200) * Math.max(canvas.width, canvas.height);
  const paint = (to: Point): void => {
    if (mask === undefined) return;
    show(mask.stroke(last ?? to, to, radius(), tool?.tool !== 'eraser'));
    last = to;
  };

  /** Pixels of the picture per pixel of the page, and where the picture begins: it lies in the middle of its box. */
  const fit = (): { scale: number; left: number; top: number } => {
    const { width, height } = canvas.getBoundingClientRect();
    const scale = Math.max(canvas.width / Math.max(width, 1), canvas.height / Math.max(height, 1));
    return { scale, left: (width - canvas.width / scale) / 2, top: (height - canvas.height / scale) / 2 };
  };
  const pointOf = (event: PointerEvent): Point => {
    const box = canvas.getBoundingClientRect();
    const { scale, left, top } = fit();
    return { x: (event.clientX - box.left - left) * scale, y: (event.clientY - box.top - top) * scale };
  };
  const placeRing = ({ x, y }: Point): void => {
    const { scale, left, top } = fit();
    const size = Math.max(4, (2 * radius()) / scale);
    Object.assign(ring.style, {
      left: `${canvas.offsetLeft + left + x / scale}px`,
      top: `${canvas.offsetTop + top + y / scale}px`,
      width: `${size}px`,
      height: `${size}px`,
    });
    ring.hidden = canvas.hidden;
  };

  canvas.addEventListener('pointerdown', (event) => {
    if (mask === undefined || busy() || event.button !== 0) return;
    event.preventDefault();
    canvas.focus({ focusVisible: false });
    canvas.setPointerCapture(event.pointerId);
    mask.begin();
    last = undefined;
    at = pointOf(event);
    paint(at);
  });
  canvas.addEventListener('pointermove', (event) => {
    placeRing(pointOf(event));
    if (last === undefined) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) paint(pointOf(each));
    paint(pointOf(event));
  });
  for (const type of ['pointerup', 'pointercancel'] as const) {
    canvas.addEventListener(type, () => {
      if (last === undefined) return;
      last = undefined;
      tell();
    });
  }
  canvas.addEventListener('pointerleave', () => void (ring.hidden = document.activeElement !== canvas));
  canvas.addEventListener('focus', () => canvas.matches(':focus-visible') && placeRing(at));
  canvas.addEventListener('blur', () => void (ring.hidden = true));
  // Anywhere in the editor; the brush itself moves where the picture has the focus.
  document.addEventListener('keydown', (event) => {
    const { target } = event;
    const inside = target === canvas || target === document.body || (target instanceof Node && tools.contains(target));
    if (!inside || mask === undefined || tool === undefined || busy()) return;
    const key = event.key.toLowerCase();
    const control = event.ctrlKey || event.metaKey;
    const [dx, dy] = (target === canvas ? MOVES[event.key] : undefined) ?? [0, 0];
    const step = event.shiftKey ? 1 : Math.max(1, radius());
    if (dx !== 0 || dy !== 0) {
      at = { x: Math.min(canvas.width, Math.max(0, at.x + dx * step)), y: Math.min(canvas.height, Math.max(0, at.y + dy * step)) };
      placeRing(at);
    } else if (key === ' ' && target === canvas) {
      mask.begin();
      last = undefined;
      paint(at);
      last = undefined;
      tell();
    } else if (control && key === 'z') change((mask) => (event.shiftKey ? mask.redo() : mask.undo()));
    else if (control && key === 'y') change((mask) => mask.redo());
    else if (control) return;
    else if (key === 'b' || key === 'e') events.tool({ tool: key === 'b' ? 'brush' : 'eraser' });
    else if (key === '[' || key === ']') events.tool({ size: tool.size + (key === '[' ? -2 : 2) });
    else if (key === 'escape') events.leave();
    else return;
    event.preventDefault();
  });

  brush.addEventListener('click', () => events.tool({ tool: 'brush' }));
  eraser.addEventListener('click', () => events.tool({ tool: 'eraser' }));
  undo.addEventListener('click', () => change((mask) => mask.undo()));
  redo.addEventListener('click', () => change((mask) => mask.redo()));
  button('clear').addEventListener('click', () => change((mask) => mask.clear()));
  button('invert').addEventListener('click', () => change((mask) => mask.invert()));
  button('leave').addEventListener('click', events.leave);
  for (const { key, input } of ranges) input.addEventListener('input', () => events.tool({ [key]: input.valueAsNumber }));
  crop.addEventListener('change', () => events.tool({ crop: crop.checked }));
  compare.addEventListener('input', () => events.compare(compare.valueAsNumber));
  retouch.addEventListener('click', events.retouch);

  open.addEventListener('click', () => file.click());
  const take = (list: FileList | null | undefined): boolean => {
    const image = [...(list ?? [])].find(({ type }) => type.startsWith('image/'));
    if (image !== undefined) events.open(image);
    return image !== undefined;
  };
  /** The first image, or else whatever it is: who opens it says why it cannot be read. */
  const takeAny = (list: FileList | undefined): void => {
    const [first] = list ?? [];
    if (!take(list) && first !== undefined) events.open(first);
  };
  file.addEventListener('change', () => {
    takeAny(file.files ?? undefined);
    file.value = '';
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

  return {
    render(state) {
      const { activeElement } = document;
      const leaving = tool !== undefined && state.retouch === undefined && (activeElement === canvas || tools.contains(activeElement));
      tool = state.retouch;
      const drawing = state.run.kind === 'running' || state.run.kind === 'waiting';
      const comparing = !drawing && state.before !== undefined && state.before > 0;
      canvas.dataset['busy'] = String(drawing);
      canvas.hidden = tool === undefined || drawing || comparing;
      if (canvas.hidden) ring.hidden = true;
      tools.hidden = tool === undefined;
      open.disabled = drawing;
      retouch.hidden = tool !== undefined || drawing || !hasPicture(state);
      if (leaving && !retouch.hidden) retouch.focus();
      find('compare-field', HTMLElement).hidden = drawing || state.before === undefined;
      before.hidden = !comparing;
      before.style.clipPath = `inset(0 ${100 - (state.before ?? 0)}% 0 0)`;
      compare.value = String(state.before ?? 0);
      const [name, left, right] =
        state.against === 'dense' ? ['Dense and routed', 'dense', 'routed'] : ['Before and after', 'before', 'after'];
      say(find('compare-name', HTMLElement), name);
      const all = state.before === undefined || state.before === 0 ? right : state.before === 100 ? left : undefined;
      say(find('compare-value', HTMLOutputElement), all ?? `${state.before} % ${left}`);
      if (tool === undefined) return;
      brush.setAttribute('aria-pressed', String(tool.tool === 'brush'));
      eraser.setAttribute('aria-pressed', String(tool.tool === 'eraser'));
      undo.disabled = drawing || !tool.canUndo;
      redo.disabled = drawing || !tool.canRedo;
      for (const { key, input, output } of ranges) {
        if (input.valueAsNumber !== tool[key]) input.valueAsNumber = tool[key];
        say(output, key === 'feather' ? `${tool[key]} px` : `${tool[key]} %`);
      }
      crop.checked = tool.crop;
    },
    begin(width, height) {
      mask = new Mask(width, height);
      at = { x: width / 2, y: height / 2 };
      canvas.width = width;
      canvas.height = height;
    },
    keep(image) {
      before.width = image.width;
      before.height = image.height;
      before.getContext('2d')?.putImageData(image, 0, 0);
    },
    mask() {
      return mask === undefined ? undefined : new ImageData(mask.pixels(mask.whole, WHITE), mask.width, mask.height);
    },
    clear() {
      mask?.clear();
      if (mask !== undefined) show(mask.whole);
      tell();
    },
  };
}

const MOVES: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
