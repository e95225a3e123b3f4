/** What is painted on: the mask over the picture, the brush under pointer or keyboard, and how near the picture is. */

import { isEmpty, type Area } from '../area.ts';
import { Gestures, shareOf, type Contact } from '../gestures.ts';
import { Mask } from '../mask.ts';
import type { Retouch } from '../state.ts';
import type { Point } from '../stroke.ts';
import { panned, pinched, revealed, WHOLE, zoomed, type Zoom } from '../zoom.ts';
import { find } from './dom.ts';

export interface SurfaceEvents {
  /** The mask is another one than before. */
  readonly changed: () => void;
  /** The mask has another size: something was added to the picture, or taken away again. */
  readonly resized: () => void;
  readonly scaled: (scale: number) => void;
}

export interface Surface {
  readonly canvas: HTMLCanvasElement;
  /** `tool`: what paints, where something does; `shown`: whether the mask can be seen and painted. */
  render(tool: Retouch | undefined, shown: boolean): void;
  begin(mask: Mask): void;
  mask(): Mask | undefined;
  /** Changes the mask as a whole. */
  change(how: (mask: Mask) => void): void;
  /** Whether the key is one of the brush, which moves with the arrows and paints with Space. */
  press(event: KeyboardEvent): boolean;
  /** Nearer or farther, around what is being looked at. */
  zoom(factor: number): void;
  showWhole(): void;
  /** Shows the brush in the middle, for one whose sliders are moved. */
  preview(): void;
}

/** How the mask is shown: stripes that are seen on any picture; the canvas itself is translucent. */
const COLOR = [214, 40, 160] as const;
const STRIPE = [255, 240, 250] as const;
/** How long the brush is shown after a slider was moved, in milliseconds. */
const GLANCE = 1200;
/** How much nearer one turn of a wheel leads, and how far a turn counts at the most, in pixels. */
const WHEEL = 0.008;
const TURN = 40;

export function createSurface(events: SurfaceEvents): Surface {
  const frame = find('frame', HTMLElement);
  const stage = find('stage', HTMLElement);
  const canvas = find('mask', HTMLCanvasElement);
  const ring = find('ring', HTMLElement);
  let mask: Mask | undefined;
  let tool: Retouch | undefined;
  let last: Point | undefined;
  /** Where the keyboard's brush is, in pixels of the mask. */
  let at: Point = { x: 0, y: 0 };
  let zoom: Zoom = WHOLE;
  let glance: ReturnType<typeof setTimeout> | undefined;

  const longer = (): number => Math.max(canvas.width, canvas.height);
  const radius = (): number => ((tool?.size ?? 20) / 200) * longer();
  const size = (): { width: number; height: number } => ({ width: frame.clientWidth, height: frame.clientHeight });

  /** Pixels of the mask per pixel of the page where the picture is whole, and where it begins: it lies in the middle of its frame. */
  const fit = (): { unit: number; left: number; top: number } => {
    const { width, height } = size();
    const unit = Math.max(canvas.width / Math.max(width, 1), canvas.height / Math.max(height, 1));
    return { unit, left: (width - canvas.width / unit) / 2, top: (height - canvas.height / unit) / 2 };
  };
  /** From the frame to the mask, and back. */
  const toMask = ({ x, y }: Point): Point => {
    const { unit, left, top } = fit();
    return { x: ((x - zoom.x) / zoom.scale - left) * unit, y: ((y - zoom.y) / zoom.scale - top) * unit };
  };
  const toFrame = ({ x, y }: Point): Point => {
    const { unit, left, top } = fit();
    return { x: (x / unit + left) * zoom.scale + zoom.x, y: (y / unit + top) * zoom.scale + zoom.y };
  };

  const show = (areas: readonly Area[]): void => {
    const context = canvas.getContext('2d');
    for (const area of areas) {
      if (mask === undefined || isEmpty(area)) continue;
      const { left, top, right, bottom } = area;
      const pixels = mask.pixels(area, COLOR, STRIPE);
      context?.putImageData(new ImageData(pixels, right - left, bottom - top), left, top);
    }
  };
  const look = (next: Zoom): void => {
    zoom = next;
    stage.style.transform = zoom.scale === 1 ? '' : `translate(${zoom.x}px, ${zoom.y}px) scale(${zoom.scale})`;
    frame.dataset['near'] = String(zoom.scale > 1);
    events.scaled(zoom.scale);
  };
  /** The ring around a place of the frame; `share` of the brush is used. */
  const placeRing = ({ x, y }: Point, share = 1): void => {
    const { unit } = fit();
    const width = Math.max(4, ((2 * radius() * share) / unit) * zoom.scale);
    const soft = (((tool?.feather ?? 0) / 100) * longer() * zoom.scale) / unit;
    Object.assign(ring.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${width}px` });
    ring.style.setProperty('--soft', `${soft}px`);
    ring.dataset['soft'] = String(soft >= 1 && tool?.tool === 'brush');
    ring.hidden = canvas.hidden;
    clearTimeout(glance);
    glance = undefined;
  };

  const gestures = new Gestures({
    begin: () => {
      mask?.begin();
      last = undefined;
    },
    paint: (place, share) => {
      at = toMask(place);
      if (mask !== undefined) show(mask.stroke(last ?? at, at, radius() * share, tool?.tool !== 'eraser'));
      last = at;
    },
    end: events.changed,
    cancel: () => mask !== undefined && show([mask.cancel()]),
    pinch: (from, to) => look(pinched(zoom, from, to, size())),
    pan: (dx, dy) => look(panned(zoom, dx, dy, size())),
  });
  const inFrame = (event: MouseEvent): Point => {
    const box = frame.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const contactOf = (event: PointerEvent): Contact => {
    const { pointerId: id, pointerType: type, button, pressure } = event;
    return { id, type, button, pressure, ...inFrame(event) };
  };
  canvas.addEventListener('pointerdown', (event) => {
    const contact = contactOf(event);
    if (mask === undefined || !gestures.down(contact)) return;
    event.preventDefault();
    canvas.focus({ focusVisible: false, preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    if (gestures.kind === 'paint') placeRing(contact, shareOf(contact));
    else ring.hidden = true;
  });
  canvas.addEventListener('pointermove', (event) => {
    const contact = contactOf(event);
    const between = event.getCoalescedEvents?.() ?? [];
    for (const each of between.length > 0 ? between : [event]) gestures.move(contactOf(each));
    if (gestures.kind === 'paint') placeRing(contact, shareOf(contact));
    else if (gestures.kind === 'none') placeRing(contact);
  });
  canvas.addEventListener('pointerup', ({ pointerId }) => gestures.up(pointerId));
  canvas.addEventListener('pointercancel', ({ pointerId }) => gestures.up(pointerId, true));
  canvas.addEventListener('pointerleave', () => {
    if (glance === undefined) ring.hidden = !canvas.matches(':focus-visible');
  });
  canvas.addEventListener('mousedown', (event) => event.button === 1 && event.preventDefault());
  canvas.addEventListener('focus', () => canvas.matches(':focus-visible') && placeRing(toFrame(at)));
  canvas.addEventListener('blur', () => void (ring.hidden = true));
  new ResizeObserver(() => look(panned(zoom, 0, 0, size()))).observe(frame);
  frame.addEventListener(
    'wheel',
    (event) => {
      if (canvas.hidden) return;
      const unit = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : 16;
      const [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
      const near = event.ctrlKey || event.metaKey;
      if (!near && zoom.scale === 1) return;
      event.preventDefault();
      if (near) look(zoomed(zoom, Math.exp(-Math.min(TURN, Math.max(-TURN, dy)) * WHEEL), inFrame(event), size()));
      else look(panned(zoom, event.shiftKey && dx === 0 ? -dy : -dx, event.shiftKey && dx === 0 ? 0 : -dy, size()));
      ring.hidden = true;
    },
    { passive: false },
  );

  return {
    canvas,
    render(next, shown) {
      if (next === undefined && tool !== undefined) look(WHOLE);
      tool = next;
      canvas.hidden = next === undefined || !shown;
      if (!canvas.hidden) return;
      ring.hidden = true;
      gestures.reset();
    },
    begin(next) {
      mask = next;
      at = { x: next.width / 2, y: next.height / 2 };
      [canvas.width, canvas.height] = [next.width, next.height];
      look(WHOLE);
      show([next.whole]);
    },
    mask: () => mask,
    change(how) {
      if (mask === undefined) return;
      const [{ width, height }, before] = [mask, mask.margins];
      how(mask);
      if (mask.width !== width || mask.height !== height || mask.margins !== before) {
        [canvas.width, canvas.height] = [mask.width, mask.height];
        at = { x: mask.width / 2, y: mask.height / 2 };
        look(WHOLE);
        events.resized();
      }
      show([mask.whole]);
      events.changed();
    },
    press(event) {
      const [dx, dy] = MOVES[event.key] ?? [0, 0];
      if (mask === undefined || (dx === 0 && dy === 0 && event.key !== ' ')) return false;
      const step = event.shiftKey ? 1 : Math.max(1, radius());
      at = { x: Math.min(canvas.width, Math.max(0, at.x + dx * step)), y: Math.min(canvas.height, Math.max(0, at.y + dy * step)) };
      look(revealed(zoom, toFrame(at), 24, size()));
      placeRing(toFrame(at));
      if (event.key !== ' ') return true;
      mask.begin();
      show(mask.stroke(at, at, radius(), tool?.tool !== 'eraser'));
      events.changed();
      return true;
    },
    zoom(factor) {
      const { width, height } = size();
      const place = toFrame(at);
      const inside = place.x >= 0 && place.y >= 0 && place.x <= width && place.y <= height;
      const keyboard = canvas.matches(':focus-visible') && inside;
      look(zoomed(zoom, factor, keyboard ? place : { x: width / 2, y: height / 2 }, { width, height }));
      if (keyboard) placeRing(toFrame(at));
    },
    showWhole: () => look(WHOLE),
    preview() {
      const { width, height } = size();
      placeRing({ x: width / 2, y: height / 2 });
      glance = setTimeout(() => {
        glance = undefined;
        ring.hidden = true;
      }, GLANCE);
    },
  };
}

const MOVES: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
