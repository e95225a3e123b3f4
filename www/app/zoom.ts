/** How the picture lies in its frame while it is painted on: how much larger, and how far moved. Pure; lengths are pixels of the page. */

import type { Point } from './stroke.ts';

export interface Zoom {
  /** 1 shows the whole picture. */
  readonly scale: number;
  /** Where the picture's corner lies, from that of its frame. */
  readonly x: number;
  readonly y: number;
}

export interface Frame {
  readonly width: number;
  readonly height: number;
}

export const WHOLE: Zoom = { scale: 1, x: 0, y: 0 };
export const LARGEST = 16;

/** `factor` times as large, with what lies at `at` staying there. */
export function zoomed(zoom: Zoom, factor: number, at: Point, frame: Frame): Zoom {
  const scale = Math.min(LARGEST, Math.max(1, zoom.scale * factor));
  const grown = scale / zoom.scale;
  return held({ scale, x: at.x - (at.x - zoom.x) * grown, y: at.y - (at.y - zoom.y) * grown }, frame);
}

export function panned(zoom: Zoom, dx: number, dy: number, frame: Frame): Zoom {
  return held({ ...zoom, x: zoom.x + dx, y: zoom.y + dy }, frame);
}

/** Two fingers that went from one pair of places to another take what lies between them along. */
export function pinched(zoom: Zoom, from: readonly [Point, Point], to: readonly [Point, Point], frame: Frame): Zoom {
  const [before, after] = [middle(from), middle(to)];
  const factor = Math.max(1, apart(to)) / Math.max(1, apart(from));
  return panned(zoomed(zoom, factor, before, frame), after.x - before.x, after.y - before.y, frame);
}

/** Moved as little as shows the point `at` of the frame, with `room` around it. */
export function revealed(zoom: Zoom, at: Point, room: number, frame: Frame): Zoom {
  const missing = (place: number, length: number): number => {
    const edge = Math.min(room, length / 2);
    return place < edge ? edge - place : place > length - edge ? length - edge - place : 0;
  };
  return panned(zoom, missing(at.x, frame.width), missing(at.y, frame.height), frame);
}

/** The picture covers its frame. */
function held({ scale, x, y }: Zoom, { width, height }: Frame): Zoom {
  const within = (place: number, length: number): number => Math.min(0, Math.max(length * (1 - scale), place)) + 0;
  return { scale, x: within(x, width), y: within(y, height) };
}

function middle([a, b]: readonly [Point, Point]): Point {
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}

function apart([a, b]: readonly [Point, Point]): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
