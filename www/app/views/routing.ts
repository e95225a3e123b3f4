/** Routing, seen: how much of the model to run, which parts of the picture ran it, and the learned table. */

import type { RoutingPreset, RoutingRecord } from 'diffcr-web';
import { layerMask, layersRun, meanKeep, skipped } from '../routing.ts';
import { shareOf, type Form } from '../form.ts';
import type { State } from '../state.ts';
import { save } from '../share.ts';
import { find, say } from './dom.ts';
import { fillRatios } from './ratios.ts';

export interface RoutingEvents {
  readonly edit: (change: Partial<Form>) => void;
  readonly toggle: () => void;
  readonly layer: (layer: number | undefined) => void;
}

export interface RoutingView {
  render(state: State): void;
  /** What the last picture's layers kept; undefined where there is no record. */
  keep(record: RoutingRecord | undefined): void;
}

export function createRouting(events: RoutingEvents): RoutingView {
  const field = find('compression-field', HTMLElement);
  const select = find('compression', HTMLSelectElement);
  const share = find('skip', HTMLInputElement);
  const shareValue = find('skip-value', HTMLOutputElement);
  const table = find('keep', HTMLTableElement);
  const details = find('keep-details', HTMLDetailsElement);
  const tableText = find('keep-text', HTMLElement);
  const toggle = find('routing', HTMLButtonElement);
  const heat = find('heat', HTMLCanvasElement);
  const text = find('heat-text', HTMLElement);
  const layerField = find('layer-field', HTMLElement);
  const layer = find('layer', HTMLInputElement);
  const layerValue = find('layer-value', HTMLOutputElement);
  const saveButton = find('routing-json', HTMLButtonElement);
  let record: RoutingRecord | undefined;
  let filled: readonly RoutingPreset[] | undefined;
  let tabled: RoutingPreset | undefined;

  select.addEventListener('change', () => events.edit({ compression: select.value }));
  share.addEventListener('input', () => events.edit({ compression: share.valueAsNumber === 0 ? 'off' : String(share.valueAsNumber) }));
  toggle.addEventListener('click', events.toggle);
  layer.addEventListener('input', () => events.layer(layer.valueAsNumber > 0 ? layer.valueAsNumber : undefined));
  saveButton.addEventListener('click', () => save(new Blob([JSON.stringify(record)], { type: 'application/json' }), 'routing.json'));

  return {
    keep(next) {
      record = next;
    },
    render({ model, run, form, looking, heat: shown, layer: chosen }) {
      const presets = model.kind === 'ready' ? model.info.routing?.presets : undefined;
      field.hidden = presets === undefined;
      if (presets !== undefined && presets !== filled) fill(select, presets);
      filled = presets;
      // A picture of ours may have been drawn with a share of its own.
      if (
        field.hidden === false &&
        ![...select.options].some(({ value }) => value === form.compression) &&
        shareOf(form.compression) !== undefined
      )
        select.append(new Option(`${percent(Number(form.compression))} skipped`, form.compression));
      if (select.value !== form.compression) select.value = form.compression;
      const preset = presets?.find(({ name }) => name === form.compression);
      // Where a preset is chosen the slider stands at what it skips.
      const skips = preset === undefined ? (shareOf(form.compression) ?? 0) : 1 - meanKeep(preset);
      if (document.activeElement !== share || preset !== undefined) share.value = String(skips);
      say(shareValue, percent(skips));
      share.setAttribute('aria-valuetext', `${percent(skips)} of the tokens`);
      details.hidden = tableText.hidden = preset === undefined;
      if (preset !== undefined && preset !== tabled) fillRatios(table, preset);
      tabled = preset;
      if (preset !== undefined) say(tableText, `The layers run ${percent(meanKeep(preset))} of the tokens on average.`);

      const routed = record?.steps.find(({ layers }) => layers.some((kept) => kept !== null));
      const there = run.kind === 'done' && routed !== undefined;
      toggle.hidden = !there;
      toggle.setAttribute('aria-pressed', String(shown));
      const step = looking ?? (run.kind === 'done' ? run.total : 0);
      const shares = !there || !shown || record === undefined ? undefined : sharesOf(record, step, chosen);
      heat.hidden = text.hidden = layerField.hidden = saveButton.hidden = shares === undefined;
      if (shares === undefined || record === undefined) return;
      layer.max = String(routed?.layers.length ?? 0);
      layer.value = String(chosen ?? 0);
      say(layerValue, chosen === undefined ? 'all' : String(chosen));
      layer.setAttribute('aria-valuetext', chosen === undefined ? 'all layers' : `layer ${chosen}`);
      drawHeat(heat, record.grid, shares);
      const ran = Math.round(shares.reduce((sum, share) => sum + share, 0));
      const seen =
        chosen === undefined
          ? `Bright parts ran through all layers at step ${step}, dark ones skipped most.`
          : `Layer ${chosen} ran the bright parts at step ${step}: ${ran} of ${shares.length} tokens.`;
      say(text, `${seen} Over the run ${percent(skipped(record))} of the work was skipped.`);
    },
  };
}

function sharesOf(record: RoutingRecord, step: number, layer: number | undefined): Float32Array | undefined {
  return layer === undefined ? layersRun(record, step) : layerMask(record, step, layer);
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

function drawHeat(canvas: HTMLCanvasElement, [rows, columns]: readonly [number, number], shares: Float32Array): void {
  [canvas.width, canvas.height] = [columns, rows];
  const image = new ImageData(columns, rows);
  for (const [i, share] of shares.entries()) image.data.set([8, 8, 24, Math.round(225 * (1 - share))], 4 * i);
  canvas.getContext('2d')?.putImageData(image, 0, 0);
}
