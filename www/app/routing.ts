/** What a routing record and a keep table say, as numbers to draw. */

import type { RoutedStep, RoutingPreset, RoutingRecord } from 'diffcr-web';

/** Share of the layers that ran each token at a step (from 1), row by row; undefined where the step left no record. */
export function layersRun({ grid: [rows, columns], steps }: RoutingRecord, step: number): Float32Array | undefined {
  const layers = steps[step - 1]?.layers ?? [];
  if (layers.length === 0) return undefined;
  const share = new Float32Array(rows * columns);
  for (const kept of layers) {
    if (kept === null) for (let i = 0; i < share.length; i += 1) share[i] = (share[i] ?? 0) + 1 / layers.length;
    else for (const token of kept) share[token] = (share[token] ?? 0) + 1 / layers.length;
  }
  return share;
}

/** 1 for each token that layer `layer` (from 1) ran at a step (from 1), 0 for those that it skipped; undefined without a record. */
export function layerMask({ grid: [rows, columns], steps }: RoutingRecord, step: number, layer: number): Float32Array | undefined {
  const kept = steps[step - 1]?.layers[layer - 1];
  if (kept === undefined) return undefined;
  const mask = new Float32Array(rows * columns).fill(kept === null ? 1 : 0);
  for (const token of kept ?? []) mask[token] = 1;
  return mask;
}

/** Share of all tokens that the layers of a run did not run. */
export function skipped({ grid: [rows, columns], steps }: RoutingRecord): number {
  const tokens = rows * columns;
  const ran = ({ layers }: RoutedStep): number => layers.reduce((sum, kept) => sum + (kept === null ? tokens : kept.length), 0);
  const all = steps.reduce((sum, { layers }) => sum + layers.length * tokens, 0);
  return all === 0 ? 0 : 1 - steps.reduce((sum, step) => sum + ran(step), 0) / all;
}

/** Mean keep ratio of a preset's table. */
export function meanKeep({ keep }: RoutingPreset): number {
  const all = keep.flat();
  return all.reduce((sum, ratio) => sum + ratio, 0) / Math.max(all.length, 1);
}
