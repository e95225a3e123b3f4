import { expect, test } from 'vitest';
import { wishes } from './address.ts';

test('the demo draws scenes unless told otherwise', () => {
  expect(wishes('')).toEqual({ model: 'models/scenes/', scenes: true, device: 'auto' });
  expect(wishes('?model=https://host/m/&device=cpu')).toEqual({ model: 'https://host/m/', scenes: false, device: 'cpu' });
});

test('a device that does not exist is refused', () => {
  expect(() => wishes('?device=tpu')).toThrow(expect.objectContaining({ code: 'INVALID_INPUT', details: { field: 'device' } }));
});
