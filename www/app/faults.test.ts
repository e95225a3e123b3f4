import { DiffCRError } from 'diffcr-web';
import { expect, test } from 'vitest';
import { advice, cpuHelps, faultOf } from './faults.ts';

test('an error keeps its code, anything else is INTERNAL', () => {
  expect(faultOf(new DiffCRError('NETWORK', 'no answer'))).toEqual({ code: 'NETWORK', message: 'no answer' });
  expect(faultOf(new TypeError('x is undefined'))).toEqual({ code: 'INTERNAL', message: 'x is undefined' });
  expect(faultOf('text')).toEqual({ code: 'INTERNAL', message: 'text' });
});

test('there is something to do about every fault', () => {
  expect(advice('NETWORK')).toMatch(/connection/);
  expect(advice('INTERNAL')).toMatch(/fault of ours/);
  expect(cpuHelps('NO_ADAPTER')).toBe(true);
  expect(cpuHelps('NETWORK')).toBe(false);
});
