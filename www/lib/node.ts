/** The package in Node: the same API, with the CPU module in a worker thread and bundles from disk as well as from servers. */

import { Worker } from 'node:worker_threads';
import { asError, DiffCRError } from './errors.ts';
import { useNode } from './node-platform.ts';
import { platform } from './platform.ts';
import type { FromWorker } from './protocol.ts';
import type { Connect } from './remote.ts';
import type { ScriptAddress } from './spawn.ts';

export * from './index.ts';

const REMEDY =
  "Does the package lie unbundled in node_modules? Mark it as external; in Next that is serverExternalPackages: ['diffcr-web'].";

function failed(url: URL, thrown: unknown): DiffCRError {
  const text = `the worker thread of ${url.href} could not be started: ${asError(thrown).message}. ${REMEDY}`;
  return new DiffCRError('WORKER', text, { url: url.href, remedy: REMEDY }, thrown);
}

function started(url: URL): Worker {
  try {
    return new Worker(url, { name: 'diffcr' });
  } catch (thrown) {
    throw failed(url, thrown);
  }
}

/** A worker thread. It keeps the process alive while it owes an answer. */
function connectThread(workerUrl: ScriptAddress | undefined): Connect {
  return (receive, crash) => {
    const url = workerUrl === undefined ? new URL('./node-worker.js', import.meta.url) : new URL(String(workerUrl));
    const worker = started(url);
    let owed = 0;
    let heard = false;
    worker.on('message', (message: FromWorker) => {
      heard = true;
      if (message.type === 'reply' || message.type === 'failed') owed -= 1;
      if (owed === 0) worker.unref();
      receive(message);
    });
    worker.on('error', (error) => {
      const text = `the worker thread of ${url.href} failed: ${asError(error).message}`;
      crash(heard ? new DiffCRError('INTERNAL', text, { url: url.href }, error) : failed(url, error));
    });
    return {
      post: (message, transfer) => {
        if (message.type !== 'abort') owed += 1;
        worker.ref();
        worker.postMessage(message, transfer as never[]);
      },
      close: () => void worker.terminate(),
    };
  };
}

platform.connect = connectThread;
useNode();
