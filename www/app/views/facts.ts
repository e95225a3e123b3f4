/** What the page runs on and what it took: the device with its features and limits, the model's memory, the times of the last picture. */

import type { ModelInfo, Output } from 'diffcr-web';
import { bytes, duration } from '../format.ts';
import type { State } from '../state.ts';
import { find } from './dom.ts';

/** A line of a table: what it is, and its value. */
export type Fact = readonly [name: string, value: string];

export interface FactsView {
  render(state: State): void;
  /** The times of that picture. */
  keep(output: Pick<Output, 'timings'>): void;
}

export function createFacts(): FactsView {
  const panel = find('facts', HTMLDetailsElement);
  const device = find('device-facts', HTMLTableSectionElement);
  const times = find('time-facts', HTMLTableSectionElement);
  let filled: ModelInfo | undefined;
  return {
    render({ model }) {
      const info = model.kind === 'ready' ? model.info : undefined;
      panel.hidden = info === undefined;
      if (info === undefined || info === filled || model.kind !== 'ready') return;
      filled = info;
      fill(device, [...deviceFacts(info, model.note), ...memoryFacts(info)]);
    },
    keep({ timings }) {
      fill(times, timeFacts(timings));
    },
  };
}

/** The device, and what it falls back to and why. */
export function deviceFacts({ device, kernels }: Pick<ModelInfo, 'device' | 'kernels'>, note: string | undefined): Fact[] {
  const { backend, adapter, kind, shaderF16, subgroups, timestampQuery, packedDot, limits } = device;
  const yes = (there: boolean): string => (there ? 'yes' : 'no');
  const gpu: Fact[] =
    backend === 'cpu'
      ? []
      : [
          ['Adapter', adapter === '' ? `not told (${kind})` : `${adapter} (${kind})`],
          ['16-bit floats in shaders', yes(shaderF16)],
          ['Subgroups', yes(subgroups)],
          ['Products of packed bytes', yes(packedDot)],
          ['Times of its own', yes(timestampQuery)],
        ];
  const bounds: Fact[] =
    limits === undefined
      ? []
      : [
          ['Largest buffer', bytes(limits.maxBufferSize)],
          ['Largest binding', bytes(limits.maxStorageBufferBindingSize)],
          ['Memory of a workgroup', bytes(limits.maxComputeWorkgroupStorageSize)],
        ];
  return [
    ['Runs on', backend === 'webgpu' ? 'WebGPU' : 'CPU (WebAssembly)'],
    ...(note === undefined ? [] : [['Why', note] as const]),
    ...gpu,
    ...bounds,
    ...(kernels ?? []).map((line): Fact => ['Kernel', line]),
  ];
}

/** What the usual picture takes. */
export function memoryFacts({ needs }: Pick<ModelInfo, 'needs'>): Fact[] {
  const gpu: Fact[] = needs.peakGpuBytes === 0 ? [] : [['GPU memory, at the most', bytes(needs.peakGpuBytes)]];
  return [['Memory, at the most', bytes(needs.peakHeapBytes)], ...gpu];
}

export function timeFacts({ encodeMs, stepMs, decodeMs, totalMs }: Output['timings']): Fact[] {
  const sum = stepMs.reduce((all, ms) => all + ms, 0);
  const [least, most] = [Math.min(...stepMs), Math.max(...stepMs)];
  const steps: Fact[] =
    stepMs.length === 0 ? [] : [[`${stepMs.length} steps`, `${duration(sum)} (${duration(least)} to ${duration(most)} each)`]];
  return [['Words', duration(encodeMs)], ...steps, ['To pixels', duration(decodeMs)], ['All', duration(totalMs)]];
}

function fill(body: HTMLTableSectionElement, facts: readonly Fact[]): void {
  body.replaceChildren(
    ...facts.map(([name, value]) => {
      const row = document.createElement('tr');
      row.append(
        Object.assign(document.createElement('th'), { scope: 'row', textContent: name }),
        Object.assign(document.createElement('td'), { textContent: value }),
      );
      return row;
    }),
  );
}
