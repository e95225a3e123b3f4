import { expect, test } from 'vitest';
import { abortError, asError, CODES, DiffCRError, fromWire, isAbort, toWire } from './errors.ts';
import { wasmError } from './testing/fake.ts';

test.each(CODES)('%s crosses the boundary whole', (code) => {
  const sent = new DiffCRError(code, 'what went wrong', { file: 'a', size: 3 }, new Error('root'));
  const got = fromWire(structuredClone(toWire(sent)));
  expect(got).toBeInstanceOf(DiffCRError);
  expect(got).toMatchObject({
    name: 'DiffCRError',
    code,
    message: 'what went wrong',
    details: { file: 'a', size: 3 },
    cause: 'Error: root',
  });
});

test('the errors of the module keep code and details', () => {
  expect(asError(wasmError('INVALID_INPUT', 'steps: 0', { field: 'steps' }))).toMatchObject({
    code: 'INVALID_INPUT',
    details: { field: 'steps' },
  });
});

test('what is not ours becomes INTERNAL', () => {
  expect(asError('text')).toMatchObject({ code: 'INTERNAL', message: 'text' });
  expect(asError(wasmError('IO', 'disk'))).toMatchObject({ code: 'INTERNAL', message: 'disk' });
  expect(asError(null)).toMatchObject({ code: 'INTERNAL' });
});

test('an abort stays an AbortError', () => {
  for (const error of [fromWire(structuredClone(toWire(abortError()))), asError(wasmError('CANCELLED', 'cancelled'))]) {
    expect(error).toBeInstanceOf(DOMException);
    expect(isAbort(error)).toBe(true);
  }
});

test('details that cannot be cloned go as text', () => {
  const wire = toWire(new DiffCRError('INTERNAL', 'x', { run: () => 1 }));
  expect(() => structuredClone(wire)).not.toThrow();
});
