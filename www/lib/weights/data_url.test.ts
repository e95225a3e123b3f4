import { expect, test } from 'vitest';
import { dataOf } from './data_url.ts';

test.each([
  ['data:application/json;base64,eyJhIjoi4oKsIn0=', '{"a":"€"}'],
  ['data:application/json;charset=utf-8,%7B%22a%22%3A%22%E2%82%AC%22%7D', '{"a":"€"}'],
  ['data:,', ''],
  ['data:text/plain;base64,YQ%3D%3D', 'a'],
])('%s', (url, text) => {
  expect(new TextDecoder().decode(dataOf(url))).toBe(text);
});

test('every byte comes back', () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  expect(dataOf(`data:application/octet-stream;base64,${Buffer.from(bytes).toString('base64')}`)).toEqual(bytes);
});

test('other addresses are left to the network', () => {
  expect(dataOf('https://host/data:,x')).toBeUndefined();
});
