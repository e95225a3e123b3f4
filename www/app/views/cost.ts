/** What the picture cost beside the dense model, and the run that measures it. */

import { duration } from '../format.ts';
import type { Cost, State } from '../state.ts';
import { find, say } from './dom.ts';

/** `dense`: draw the same picture with every token in every layer. */
export function createCost(events: { readonly dense: () => void }): (state: State) => void {
  const text = find('cost', HTMLElement);
  const dense = find('dense', HTMLButtonElement);
  dense.addEventListener('click', events.dense);

  return ({ cost, run, retouch, model }) => {
    const shown = run.kind === 'done' ? cost : undefined;
    say(text, shown === undefined ? '' : costText(shown));
    const routed = shown !== undefined && shown.flops < shown.denseFlops;
    dense.hidden = !routed || retouch !== undefined || model.kind !== 'ready';
  };
}

/** `34.7 of 49.9 GFLOPs (70 %); 800 ms, dense 1.1 s (71 %)`. */
export function costText({ flops, denseFlops, totalMs, denseMs }: Cost): string {
  const giga = (count: number): string => (count / 1e9).toFixed(1);
  const share = (part: number, whole: number): string => `${Math.round((100 * part) / Math.max(whole, 1))} %`;
  if (flops >= denseFlops) return `${giga(flops)} GFLOPs: every layer ran every token`;
  const operations = `${giga(flops)} of ${giga(denseFlops)} GFLOPs, ${share(flops, denseFlops)} of the dense model`;
  if (denseMs === undefined) return operations;
  return `${operations}; ${duration(totalMs)}, dense ${duration(denseMs)}: ${share(totalMs, denseMs)} of its time`;
}
