/** A minimal reader of safetensors files with 32-bit floats and integers: enough for fixtures. */

import { readFileSync } from 'node:fs';

export interface Tensor {
  readonly shape: number[];
  readonly data: Float32Array<ArrayBuffer>;
}

export function readSafetensors(path: string): Map<string, Tensor> {
  return parseSafetensors(readFileSync(path));
}

export function parseSafetensors(file: Uint8Array): Map<string, Tensor> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const start = 8 + Number(view.getBigUint64(0, true));
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> = JSON.parse(
    new TextDecoder().decode(file.subarray(8, start)),
  );
  const tensors = new Map<string, Tensor>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (dtype !== 'F32' && dtype !== 'I32') continue; // nor is `__metadata__`
    const [from, to] = data_offsets;
    const { buffer } = Uint8Array.from(file.subarray(start + from, start + to));
    tensors.set(name, { shape, data: dtype === 'F32' ? new Float32Array(buffer) : Float32Array.from(new Int32Array(buffer)) });
  }
  return tensors;
}

/** The tensor of that name, or an error that lists what there is. */
export function tensor(tensors: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const found = tensors.get(name);
  if (found === undefined) throw new Error(`no tensor ${name} among ${[...tensors.keys()].join(', ')}`);
  return found;
}

/** Row `index` of the first axis, which stays, with length 1. */
export function row({ shape: [rows = 0, ...rest], data }: Tensor, index: number): Tensor {
  const size = data.length / rows;
  return { shape: [1, ...rest], data: data.slice(index * size, (index + 1) * size) };
}

/** Largest difference between two tensors of one shape, relative to the largest value of `expected`. */
export function relativeError(got: ArrayLike<number>, expected: Float32Array): number {
  if (got.length !== expected.length) throw new Error(`${got.length} values instead of ${expected.length}`);
  let difference = 0;
  let largest = 0;
  for (const [i, value] of expected.entries()) {
    const error = Math.abs((got[i] ?? Number.NaN) - value);
    if (Number.isNaN(error)) return Number.NaN;
    difference = Math.max(difference, error);
    largest = Math.max(largest, Math.abs(value));
  }
  return difference / largest;
}
