/** How the package's worker is started: beside this module or by address, from another origin too, and never silently in vain. */

import { asError, DiffCRError } from './errors.ts';
import type { FromWorker, ToWorker } from './protocol.ts';
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
  /** Where else the script may lie when it cannot be loaded. */
  readonly elsewhere?: string | undefined;
}

/** Vite before 8 moves this module in its dev server, away from the worker. */
const PREBUNDLED = /\/node_modules\/\.vite\/deps\/[^/]*$/;

/** Where the worker is, of a module that Vite moved to `url`; undefined for any other. */
export function unmoved(url: string): string | undefined {
  return PREBUNDLED.test(url) ? url.replace(PREBUNDLED, '/node_modules/diffcr-web/dist/worker.js') : undefined;
}

/** The worker that lies beside this module, or its copy at `address`. */
export function workerStarter(address: ScriptAddress | undefined): Starter {
  if (address === undefined) {
    return {
      // Put together, so that no bundler takes it for a file of its own.
      url: import.meta.url.replace(/[^/]*$/, 'worker.js'),
      // Spelled out in one piece: this is the form that bundlers look for.
      start: () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'diffcr' }),
      elsewhere: unmoved(import.meta.url),
    };
  }
  return { url: String(address), start: () => new Worker(address as string | URL, OPTIONS) };
}

/** Connects to a worker: where its script is of another origin, through a Blob that imports it; where it is not, to the one elsewhere. */
export function connectWorker({ url, start, elsewhere }: Starter, helloMs = HELLO_MS): Connect {
  return (receive, crash) => {
    let [heard, retried] = [false, false];
    /** Said before the worker was heard: it may have to be said again. */
    let said: ToWorker[] = [];
    let worker = started(url, start);
    const late = setTimeout(() => crash(failed(url, `nothing was heard of it in ${helloMs / 1000} s`, REMEDY.silent)), helloMs);
    const fail = (event: ErrorEvent): void => {
      event.preventDefault();
      const reason = event.message || 'the script could not be loaded';
      const cause: unknown = event.error ?? undefined;
      if (heard) {
        crash(new DiffCRError('INTERNAL', `the worker stopped: ${reason}`, { url }, cause));
        return;
      }
      // Browsers that do not throw tell so that the script is of another origin.
      if (!retried && (elsewhere !== undefined || isForeign(url))) {
        retried = true;
        try {
          listen(elsewhere === undefined ? across(url, cause) : started(elsewhere, () => new Worker(elsewhere, OPTIONS)));
          for (const message of said) worker.postMessage(message);
        } catch (thrown) {
          crash(asFailure(thrown));
        }
        return;
      }
      clearTimeout(late);
      crash(failed(url, reason, REMEDY.load, cause));
    };
    const listen = (to: Worker): void => {
      worker = to;
      worker.addEventListener('message', (event: MessageEvent<FromWorker>) => {
        heard = true;
        said = [];
        clearTimeout(late);
        receive(event.data);
      });
      worker.addEventListener('messageerror', () => crash(new DiffCRError('INTERNAL', "a message of the worker's could not be read")));
      worker.addEventListener('error', fail);
    };
    listen(worker);
    return {
      post: (message, transfer) => {
        if (!heard) said.push(message);
        worker.postMessage(message, transfer);
      },
      close: () => {
        clearTimeout(late);
        worker.terminate();
      },
    };
  };
}

function asFailure(thrown: unknown): DiffCRError {
  const error = asError(thrown);
  return error instanceof DiffCRError ? error : new DiffCRError('INTERNAL', error.message, {}, error);
}

/** Whether a script is of another origin than this page, whose own is opaque in a sandbox. */
function isForeign(url: string): boolean {
  const own: string | undefined = globalThis.origin ?? globalThis.location?.origin;
  return own !== undefined && /^https?:/.test(url) && new URL(url).origin !== own;
}

const REMEDY = {
  load:
    'Serve worker.js there as JavaScript, with CORS where it is of another origin, and allow it in worker-src (for another origin ' +
    'that origin and blob:); or pass its address as workerUrl.',
  silent: 'Is it an empty file? A bundler that dropped it must be told that diffcr-web/worker has side effects.',
  trusted: `Allow the policy '${POLICY}' in trusted-types, or pass workerUrl as a TrustedScriptURL.`,
  missing: 'In Node, import the package by its name, so that its "node" entry is taken.',
  origin: 'Copy worker.js and the wasm files to the origin of the page and pass workerUrl, or allow that origin and blob: in worker-src.',
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

/** The rest of a plain script that imports a module, and hands on what came before that could listen. */
const WAIT = `addEventListener('message', keep);
import(ADDRESS).then(
  () => {
    removeEventListener('message', keep);
    for (const data of early) dispatchEvent(new MessageEvent('message', { data }));
  },
  (error) => setTimeout(() => { throw error; }),
);`;

/** A worker of the page's own origin whose only line imports the script. */
function across(url: string, cause: unknown): Worker {
  const address = addressIn(cause) ?? url;
  if (!/^https?:/.test(address)) throw failed(url, 'its address is of another origin', REMEDY.origin, cause);
  const name = JSON.stringify(address);
  // In a sandbox, whose origin is opaque, a Blob is no module; a plain script imports as well, and minds what it is told meanwhile.
  const opaque = globalThis.origin === 'null';
  const text = opaque
    ? `const early = [];\nconst keep = (event) => early.push(event.data);\n${WAIT.replace('ADDRESS', name)}`
    : `import ${name};`;
  const blob = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
  try {
    return new Worker(blob, opaque ? { name: OPTIONS.name } : OPTIONS);
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
