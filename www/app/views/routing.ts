/** Routing, seen: how much of the model to run, which parts of the picture ran it, and the learned table. */

import type { RoutingPreset, RoutingRecord } from 'diffcr-web';
import { layersRun, meanKeep, skipped } from '../routing.ts';
import type { Form, State } from '../state.ts';
import { find, say } from './dom.ts';

export interface RoutingEvents {
  readonly edit: (change: Partial<Form>) => void;
  readonly toggle: () => void;
}

export interface RoutingView {
  render(state: State): void;
  /** What the last picture's layers kept; undefined where there is no record. */
  keep(record: RoutingRecord | undefined): void;
}

/** Pixels of a table's cell. */
const CELL = 14;

export function createRouting(events: RoutingEvents): RoutingView {
  const field = find('compression-field', HTMLElement);
  const select = find('compression', HTMLSelectElement);
  const table = find('keep', HTMLCanvasElement);
  const tableText = find('keep-text', HTMLElement);
  const toggle = find('routing', HTMLButtonElement);
  const heat = find('heat', HTMLCanvasElement);
  const text = find('heat-text', HTMLElement);
  let record: RoutingRecord | undefined;
  let filled: readonly RoutingPreset[] | undefined;

  select.addEventListener('change', () => events.edit({ compression: select.value }));
  toggle.addEventListener('click', events.toggle);

  return {
    keep(next) {
      record = next;
    },
    render({ model, run, form, looking, heat: shown }) {
      const presets = model.kind === 'ready' ? model.info.routing?.presets : undefined;
      field.hidden = presets === undefined;
      if (presets !== undefined && presets !== filled) fill(select, presets);
      filled = presets;
      if (select.value !== form.compression) select.value = form.compression;
      const preset = presets?.find(({ name }) => name === form.compression);
      table.hidden = tableText.hidden = preset === undefined;
      if (preset !== undefined) {
        drawTable(table, preset.keep);
        say(tableText, `Share of the tokens that each layer runs, from noise (top) to picture: ${percent(meanKeep(preset))} on average.`);
      }

      const there = run.kind === 'done' && record !== undefined && record.steps.some(({ layers }) => layers.some((kept) => kept !== null));
      toggle.hidden = !there;
      toggle.setAttribute('aria-pressed', String(shown));
      const step = looking ?? (run.kind === 'done' ? run.total : 0);
      const shares = there && shown && record !== undefined ? layersRun(record, step) : undefined;
      heat.hidden = text.hidden = shares === undefined;
      if (shares === undefined || record === undefined) return;
      drawHeat(heat, record.grid, shares);
      say(
        text,
        `Bright parts ran through all layers at step ${step}, dark ones skipped most. Over the run ${percent(skipped(record))} of the work was skipped.`,
      );
    },
  };
}

function fill(select: HTMLSelectElement, presets: readonly RoutingPreset[]): void {
  const option = (value: string, label: string): HTMLOptionElement =>
    Object.assign(document.createElement('option'), { value, textContent: label });
  select.replaceChildren(
    option('off', 'dense: every token'),
    ...presets.map((preset) => option(preset.name, `${preset.name}: ${percent(meanKeep(preset))} of the tokens`)),
  );
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

/** A row for each region of the timesteps, the noisiest at the top; a column for each layer. */
function drawTable(canvas: HTMLCanvasElement, keep: readonly (readonly number[])[]): void {
  canvas.width = CELL * (keep[0]?.length ?? 1);
  canvas.height = CELL * keep.length;
  const context = canvas.getContext('2d');
  for (const [row, ratios] of [...keep].reverse().entries()) {
    for (const [column, ratio] of ratios.entries()) {
      if (context !== null) context.fillStyle = `hsl(226 70% ${Math.round(20 + 70 * ratio)}%)`;
      context?.fillRect(column * CELL, row * CELL, CELL - 1, CELL - 1);
    }
  }
}

function drawHeat(canvas: HTMLCanvasElement, [rows, columns]: readonly [number, number], shares: Float32Array): void {
  [canvas.width, canvas.height] = [columns, rows];
  const image = new ImageData(columns, rows);
  for (const [i, share] of shares.entries()) image.data.set([8, 8, 24, Math.round(225 * (1 - share))], 4 * i);
  canvas.getContext('2d')?.putImageData(image, 0, 0);
}
