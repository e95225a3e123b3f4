import { expect, test } from 'vitest';
import { parseSafetensors, relativeError, row, tensor } from './safetensors.ts';

const header = JSON.stringify({
  __metadata__: { format: 'pt' },
  ids: { dtype: 'I32', shape: [1], data_offsets: [16, 20] },
  bytes: { dtype: 'U8', shape: [4], data_offsets: [16, 20] },
  x: { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16] },
});
const file = new Uint8Array(8 + header.length + 20);
new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
file.set(new TextEncoder().encode(header), 8);
new DataView(file.buffer).setInt32(8 + header.length + 16, -7, true);
[1, -2, 3, 4].forEach((value, i) => new DataView(file.buffer).setFloat32(8 + header.length + 4 * i, value, true));

test('reads floats and integers, and only those', () => {
  const tensors = parseSafetensors(file);
  expect([...tensors.keys()]).toEqual(['ids', 'x']);
  expect(tensor(tensors, 'ids')).toEqual({ shape: [1], data: Float32Array.of(-7) });
  expect(tensor(tensors, 'x')).toEqual({ shape: [2, 2], data: Float32Array.of(1, -2, 3, 4) });
  expect(row(tensor(tensors, 'x'), 1)).toEqual({ shape: [1, 2], data: Float32Array.of(3, 4) });
  expect(() => tensor(tensors, 'y')).toThrow('no tensor y among ids, x');
});

test('the error is relative to the largest value, and never hides a NaN', () => {
  expect(relativeError([1, -2, 3.5, 4], Float32Array.of(1, -2, 3, 4))).toBeCloseTo(0.125);
  expect(relativeError([1, Number.NaN, 3, 4], Float32Array.of(1, 2, 3, 4))).toBeNaN();
  expect(() => relativeError([1], Float32Array.of(1, 2))).toThrow('1 values instead of 2');
});
