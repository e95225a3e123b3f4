import { expect, test } from 'vitest';
import { pageOptions } from './address.ts';

test('the demo draws scenes unless told otherwise', () => {
  expect(pageOptions('')).toEqual({ model: 'models/scenes-q4/', scenes: true, device: 'auto' });
  expect(pageOptions('?model=https://host/m/&device=cpu')).toEqual({ model: 'https://host/m/', scenes: false, device: 'cpu' });
});

test('a device that does not exist is refused', () => {
  expect(() => pageOptions('?device=tpu')).toThrow(expect.objectContaining({ code: 'INVALID_INPUT', details: { field: 'device' } }));
});
