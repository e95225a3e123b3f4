/** Visits without a network: the service worker that keeps the page, and the word that a newer one is there. */

import type { Backend } from 'diffcr-web';

/** Put in by the build; a development server has no service worker. */
declare const OFFLINE: boolean;

/** The page as it is kept for visits without a network. */
export interface Offline {
  /** Keeps the engine that the page runs. */
  keep(backend: Backend): void;
}

/**
 * Has the page kept. `updated` is called where a newer version waits, with what takes it: the page is then loaded anew.
 * Where the browser keeps nothing, visits need a network, as without this.
 */
export async function keepPage(updated: (take: () => void) => void): Promise<Offline | undefined> {
  if (!OFFLINE || !('serviceWorker' in navigator)) return undefined;
  const { serviceWorker } = navigator;
  try {
    const registration = await serviceWorker.register('./sw.js');
    const offer = (waiting: ServiceWorker | null): void => {
      // The first version takes nobody's place.
      if (waiting === null || serviceWorker.controller === null) return;
      updated(() => {
        serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
        waiting.postMessage({ type: 'take-over' });
      });
    };
    const follow = (installing: ServiceWorker | null): void =>
      installing?.addEventListener('statechange', () => installing.state === 'installed' && offer(installing));
    offer(registration.waiting);
    follow(registration.installing);
    registration.addEventListener('updatefound', () => follow(registration.installing));
    const { active } = await serviceWorker.ready;
    return { keep: (backend) => active?.postMessage({ type: 'keep-engine', backend }) };
  } catch (error) {
    console.info('this browser keeps no page for visits without a network:', error);
    return undefined;
  }
}
