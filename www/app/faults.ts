/** From a thrown error to what the page says: what happened, and what to do about it. */

import { DiffCRError } from 'diffcr-web';
import type { Fault } from './state.ts';

export function faultOf(error: unknown): Fault {
  if (error instanceof DiffCRError) return { code: error.code, message: error.message };
  return { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) };
}

const ADVICE: Readonly<Record<string, string>> = {
  WEBGPU_UNAVAILABLE: 'Open this page in a current Chrome or Edge over https or localhost, or run the model on the CPU.',
  NO_ADAPTER: 'The browser finds no usable GPU: check chrome://gpu and that graphics acceleration is on, or run the model on the CPU.',
  LIMIT_TOO_SMALL: 'This GPU is too small for the model. Try the CPU, or a smaller model.',
  OUT_OF_MEMORY: 'Ask for a smaller picture, or take a smaller model.',
  WORKER: 'Reload the page; if it stays, its files were not all uploaded.',
  DEVICE_LOST: 'The GPU was taken away, by a driver restart or by another tab. Load the model again.',
  INTEGRITY:
    'A file of the model is damaged on its server, or was changed on the way. Try again; if it stays, the bundle has to be uploaded anew.',
  NETWORK: 'Check the connection and the address of the model, then try again.',
  MANIFEST_INVALID: 'The address does not lead to a DiffCR bundle. It should be the folder that holds diffcr.json.',
  MANIFEST_VERSION: 'The bundle was made for another version of this page. Reload the page, or convert the model again.',
  MODEL_INVALID: 'The bundle is not complete or not of a kind this page knows. Convert the model again.',
  INVALID_INPUT: 'Change the value that is named and try again.',
  DISPOSED: 'Load the model again.',
};

/** One sentence on what to do. */
export function advice(code: string): string {
  return ADVICE[code] ?? 'This is a fault of ours. Load the model again; the browser console may tell more.';
}

/** The CPU build can stand in for a GPU that is not there. */
export function cpuHelps(code: string): boolean {
  return ['WEBGPU_UNAVAILABLE', 'NO_ADAPTER', 'LIMIT_TOO_SMALL'].includes(code);
}
