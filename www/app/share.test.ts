import { expect, test } from 'vitest';
import { fileName } from './share.ts';

test('a file has the words of its prompt, of any script', () => {
  expect(fileName({ prompt: 'A red, RED star!', seed: 7 })).toBe('a-red-red-star-7.png');
  expect(fileName({ prompt: '赤い星', seed: 1 })).toBe('赤い星-1.png');
  expect(fileName({ prompt: ' … ', seed: 0 })).toBe('picture-0.png');
  expect(fileName({ prompt: 'x'.repeat(99), seed: 2 })).toBe(`${'x'.repeat(60)}-2.png`);
});
