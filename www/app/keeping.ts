/** What this browser keeps for later visits: weights, the page itself; and what is said before anything is fetched from another host. */

import { checkSupport, models, type Backend } from 'diffcr-web';
import { foreignHost } from './address.ts';
import { bytes } from './format.ts';
import { keepPage } from './offline.ts';
import type { Action, State } from './state.ts';
import { find, say } from './views/dom.ts';
import type { ModelsView } from './views/models.ts';

export interface Keeping {
  /** Tells what is kept of the model, also where a load was cut short. */
  look(): Promise<void>;
  /** The loaded model goes on without what is kept: its weights are in the worker. */
  remove(): Promise<void>;
  /** Once a model is there, so that nothing is fetched beside it: keeps the page, and the engine of that backend. */
  page(backend: Backend): Promise<void>;
  /** Whether the model is of another host: then the reader is told whose, and how much, and is asked. */
  isForeign(): boolean;
}

/** Of the model at that address. */
export function createKeeping(model: string, shelves: ModelsView, state: () => State, dispatch: (action: Action) => void): Keeping {
  const tellOf = async (host: string): Promise<void> => {
    const weight = find('weight', HTMLElement);
    say(weight, `From ${host}`);
    const needs = await checkSupport(model).then(
      (support) => support.needs,
      () => undefined,
    );
    if (needs !== undefined) say(weight, `From ${host}, ${bytes(needs.downloadBytes)}`);
  };
  return {
    async look() {
      const found = await models.get(model).catch(() => undefined);
      shelves.show(await models.list().catch(() => []));
      const whole = found?.complete === true || state().model.kind !== 'ready';
      const kept =
        found === undefined || found.bytes === 0 ? undefined : ({ bytes: found.bytes, state: whole ? 'there' : 'part' } as const);
      dispatch({ type: 'kept', kept });
    },
    async remove() {
      const { kept } = state();
      if (kept === undefined) return;
      const gone = await models.remove(model).then(
        () => true,
        () => false,
      );
      dispatch({ type: 'kept', kept: { bytes: kept.bytes, state: gone ? 'removed' : 'stuck' } });
    },
    async page(backend) {
      const offline = await keepPage((take) => {
        find('update', HTMLElement).hidden = false;
        find('update-take', HTMLButtonElement).onclick = take;
      });
      offline?.keep(backend);
    },
    isForeign() {
      const host = foreignHost(model, location.href);
      if (host !== undefined) void tellOf(host);
      return host !== undefined;
    },
  };
}
