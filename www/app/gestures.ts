/** What pointers on the picture mean: one paints, two fingers zoom and pan, the middle button pans. Pure; places are the frame's. */

import type { Point } from './stroke.ts';

/** A pointer, at one moment. */
export interface Contact extends Point {
  readonly id: number;
  /** `mouse`, `pen`, `touch`. */
  readonly type: string;
  /** Which button it went down with: 0 the first, 1 the middle one. */
  readonly button: number;
  /** From 0 to 1. */
  readonly pressure: number;
}

export interface GestureEvents {
  readonly begin: () => void;
  /** The brush is at a place; `share` of its size is used. */
  readonly paint: (at: Point, share: number) => void;
  readonly end: () => void;
  /** What was begun was meant otherwise. */
  readonly cancel: () => void;
  readonly pinch: (from: readonly [Point, Point], to: readonly [Point, Point]) => void;
  readonly pan: (dx: number, dy: number) => void;
}

/** How far a finger slips, in pixels, before the second one is down. */
const SLIP = 16;
/** The share of the brush that the lightest touch of a pen paints. */
const LIGHTEST = 0.1;

/** How much of the brush's size a pointer paints with. */
export function shareOf({ type, pressure }: Pick<Contact, 'type' | 'pressure'>): number {
  return type === 'pen' ? Math.min(1, Math.max(LIGHTEST, pressure)) : 1;
}

export class Gestures {
  readonly #events: GestureEvents;
  #kind: 'none' | 'paint' | 'pan' | 'pinch' | 'spent' = 'none';
  #down = new Map<number, Contact>();
  /** The pointer that paints or pans, where it went down, and how far it has been from there. */
  #first: Contact | undefined;
  #far = 0;

  constructor(events: GestureEvents) {
    this.#events = events;
  }

  get kind(): 'none' | 'paint' | 'pan' | 'pinch' | 'spent' {
    return this.#kind;
  }

  /** Whether it means anything. */
  down(contact: Contact): boolean {
    // A hand that rests beside its pen.
    if (this.#kind === 'paint' && contact.type === 'touch' && this.#first?.type !== 'touch') return false;
    if (contact.type !== 'touch' || this.#down.size === 0) {
      if (this.#kind !== 'none' || contact.button > 1) return false;
      this.#down.set(contact.id, contact);
      [this.#first, this.#far] = [contact, 0];
      this.#kind = contact.button === 1 ? 'pan' : 'paint';
      if (this.#kind === 'pan') return true;
      this.#events.begin();
      this.#events.paint(contact, shareOf(contact));
      return true;
    }
    this.#down.set(contact.id, contact);
    if (this.#kind === 'paint') this.#stop(this.#far > SLIP);
    this.#kind = this.#down.size === 2 ? 'pinch' : 'spent';
    return true;
  }

  move(contact: Contact): void {
    const before = this.#down.get(contact.id);
    if (before === undefined) return;
    const pair = [...this.#down.keys()];
    const places = (): readonly [Point, Point] | undefined => {
      const [a, b] = pair.map((id) => this.#down.get(id));
      return a === undefined || b === undefined ? undefined : [a, b];
    };
    const from = places();
    this.#down.set(contact.id, contact);
    const to = places();
    if (this.#kind === 'paint' && this.#first !== undefined) {
      this.#far = Math.max(this.#far, Math.hypot(contact.x - this.#first.x, contact.y - this.#first.y));
      this.#events.paint(contact, shareOf(contact));
    } else if (this.#kind === 'pan') this.#events.pan(contact.x - before.x, contact.y - before.y);
    else if (this.#kind === 'pinch' && from !== undefined && to !== undefined) this.#events.pinch(from, to);
  }

  /** `lost`: the browser took the pointer for something of its own. */
  up(id: number, lost = false): void {
    if (!this.#down.delete(id)) return;
    if (this.#kind === 'paint') this.#stop(!lost || this.#far > SLIP);
    // A finger that is left over from two does not paint.
    this.#kind = this.#down.size === 0 ? 'none' : 'spent';
  }
  /** Nothing is under way any more: what was painted on is gone. */
  reset(): void {
    this.#down.clear();
    this.#kind = 'none';
  }

  #stop(meant: boolean): void {
    if (meant) this.#events.end();
    else this.#events.cancel();
  }
}
