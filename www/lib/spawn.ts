/** How the package's worker is started: beside this module or by address, from another origin too, and never silently in vain. */

import { DiffCRError } from './errors.ts';
import type { FromWorker } from './protocol.ts';
import type { Connect } from './remote.ts';

/** A script's address, or one that a Trusted Types policy of the page has approved, which passes unchanged. */
export type ScriptAddress = string | URL | { readonly toString: () => string };

/** How long a worker may take to say its first word. */
const HELLO_MS = 30_000;

const OPTIONS = { type: 'module', name: 'diffcr' } as const;
/** Names the policy that a page under Trusted Types may allow: `trusted-types diffcr-web`. */
const POLICY = 'diffcr-web';

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): { createScriptURL(url: string): string };
}

/** What starts a `Worker`; the tests bring their own. */
export interface Starter {
  /** The address, for errors. */
  readonly url: string;
  /** Throws what the browser throws. */
  readonly start: () => Worker;
}

/** The worker that lies beside this module, or its copy at `address`. */
export function workerStarter(address: ScriptAddress | undefined): Starter {
  if (address === undefined) {
    return {
      // Put together, so that no bundler takes it for a file of its own.
      url: import.meta.url.replace(/[^/]*$/, 'worker.js'),
      // Spelled out in one piece: this is the form that bundlers look for.
      start: () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'diffcr' }),
    };
  }
  return { url: String(address), start: () => new Worker(address as string | URL, OPTIONS) };
}

/** Connects to a worker: where its script is of another origin, through a Blob that imports it. */
export function connectWorker({ url, start }: Starter, helloMs = HELLO_MS): Connect {
  return (receive, crash) => {
    let heard = false;
    const worker = started(url, start);
    const late = setTimeout(() => {
      if (!heard) crash(failed(url, `nothing was heard of it in ${helloMs / 1000} s`, REMEDY.silent));
    }, helloMs);
    worker.addEventListener('message', (event: MessageEvent<FromWorker>) => {
      heard = true;
      clearTimeout(late);
      receive(event.data);
    });
    worker.addEventListener('messageerror', () => crash(new DiffCRError('INTERNAL', "a message of the worker's could not be read")));
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      clearTimeout(late);
      const reason = event.message || 'the script could not be loaded';
      const cause: unknown = event.error ?? undefined;
      crash(heard ? new DiffCRError('INTERNAL', `the worker stopped: ${reason}`, { url }, cause) : failed(url, reason, REMEDY.load, cause));
    });
    return {
      post: (message, transfer) => worker.postMessage(message, transfer),
      close: () => {
        clearTimeout(late);
        worker.terminate();
      },
    };
  };
}

const REMEDY = {
  load:
    'Serve worker.js there as JavaScript, with CORS where it is of another origin, and allow it in worker-src (blob: too for another ' +
    'origin); or pass its address as workerUrl.',
  silent: 'Is it an empty file? A bundler that dropped it must be told that diffcr-web/worker has side effects.',
  trusted: `Allow the policy '${POLICY}' in trusted-types, or pass workerUrl as a TrustedScriptURL.`,
  missing: 'In Node, import the package by its name, so that its "node" entry is taken.',
  origin: 'Copy worker.js and the wasm files to the origin of the page and pass workerUrl, or allow worker-src blob:.',
} as const;

function failed(url: string, reason: string, remedy: string, cause?: unknown): DiffCRError {
  return new DiffCRError('WORKER', `the worker could not be started from ${url}: ${reason}. ${remedy}`, { url, remedy }, cause);
}

function started(url: string, start: () => Worker): Worker {
  try {
    return start();
  } catch (thrown) {
    const name = thrown instanceof Error || thrown instanceof DOMException ? thrown.name : '';
    if (name === 'ReferenceError') throw failed(url, 'there is no Worker here', REMEDY.missing, thrown);
    if (name === 'SecurityError') return across(url, thrown);
    if (name === 'TypeError' && trustedTypes() !== undefined) return trusted(url, url, thrown);
    throw failed(url, String(thrown), REMEDY.load, thrown);
  }
}

/** A worker of the page's own origin whose only line imports the script. */
function across(url: string, cause: unknown): Worker {
  const address = addressIn(cause) ?? url;
  if (!/^https?:/.test(address)) throw failed(url, 'its address is of another origin', REMEDY.origin, cause);
  const line = `import ${JSON.stringify(address)};`;
  const blob = URL.createObjectURL(new Blob([line], { type: 'text/javascript' }));
  try {
    return new Worker(blob, OPTIONS);
  } catch (thrown) {
    if (thrown instanceof TypeError && trustedTypes() !== undefined) return trusted(address, blob, thrown);
    throw failed(address, 'its address is of another origin', REMEDY.origin, thrown);
  } finally {
    // Once the worker has fetched it.
    setTimeout(() => URL.revokeObjectURL(blob), HELLO_MS);
  }
}

/** Where a bundler gave the script another name, only the browser's complaint has it. */
function addressIn(cause: unknown): string | undefined {
  return /'(https?:[^']+)'/.exec(cause instanceof Error || cause instanceof DOMException ? cause.message : '')?.[1];
}

let policy: ReturnType<TrustedTypes['createPolicy']> | undefined;

function trusted(url: string, script: string, cause: unknown): Worker {
  try {
    policy ??= trustedTypes()?.createPolicy(POLICY, { createScriptURL: (url) => url });
    return new Worker(policy?.createScriptURL(script) ?? script, OPTIONS);
  } catch (thrown) {
    if (thrown instanceof DOMException && thrown.name === 'SecurityError' && !script.startsWith('blob:')) return across(url, thrown);
    throw failed(url, 'Trusted Types refuse its address', REMEDY.trusted, cause);
  }
}

function trustedTypes(): TrustedTypes | undefined {
  return Reflect.get(globalThis, 'trustedTypes') as TrustedTypes | undefined;
}
