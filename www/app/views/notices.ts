/** What stands out: the failure, the backend and why it is not the faster one, the model's name. */

import { advice, cpuHelps } from '../faults.ts';
import type { State } from '../state.ts';
import { find, say } from './dom.ts';

export interface NoticeEvents {
  readonly retry: () => void;
  readonly useCpu: () => void;
}

export function createNotices(events: NoticeEvents): (state: State) => void {
  const panel = find('fault', HTMLElement);
  const code = find('fault-code', HTMLElement);
  const message = find('fault-message', HTMLElement);
  const hint = find('fault-advice', HTMLElement);
  const retry = find('fault-retry', HTMLButtonElement);
  const cpu = find('fault-cpu', HTMLButtonElement);
  const badge = find('badge', HTMLElement);
  const backend = find('backend', HTMLElement);
  const note = find('note', HTMLElement);
  const about = find('about', HTMLElement);
  const promise = about.textContent;
  retry.addEventListener('click', events.retry);
  cpu.addEventListener('click', events.useCpu);

  return ({ model, run, fault }) => {
    document.body.dataset['model'] = model.kind;
    document.body.dataset['run'] = run.kind;
    panel.hidden = fault === undefined;
    say(code, fault?.code ?? '');
    say(message, fault?.message ?? '');
    say(hint, fault === undefined ? '' : advice(fault.code));
    retry.hidden = fault?.code === 'INVALID_INPUT';
    cpu.hidden = fault === undefined || !cpuHelps(fault.code);

    badge.hidden = model.kind !== 'ready';
    note.hidden = model.kind !== 'ready' || model.note === undefined;
    if (model.kind !== 'ready') {
      say(about, promise);
      return;
    }
    badge.dataset['backend'] = model.backend;
    say(backend, model.backend === 'webgpu' ? 'WebGPU' : 'CPU');
    say(note, model.note ?? '');
    const { name, version, layers, tokens, width, height } = model.info;
    say(about, `${promise} Model: ${name} (${version.slice(0, 12)}), ${layers} layers over ${tokens} tokens, ${width} × ${height} pixels.`);
  };
}
