import { expect, test } from 'vitest';
import { EXAMPLES, isColor, randomCaption, tokens, unknownWords } from './words.ts';

test('the examples use only words of the model', () => {
  expect(EXAMPLES.flatMap(unknownWords)).toEqual([]);
});

test('random captions do too, and differ', () => {
  let state = 1;
  const random = (): number => (state = (state * 48271) % 2147483647) / 2147483647;
  const captions = Array.from({ length: 500 }, () => randomCaption(random));
  expect(captions.flatMap(unknownWords)).toEqual([]);
  expect(new Set(captions).size).toBeGreaterThan(450);
  for (const caption of captions) expect(caption).toMatch(/^a .+ on a .+ background( with \w+ dots)?$/);
  expect(randomCaption(() => 0.999999)).not.toContain('undefined');
});

test('unknown words are named once, whatever their case', () => {
  expect(unknownWords('A Dog above a RED dog, über a star')).toEqual(['dog', 'über']);
  expect(unknownWords('')).toEqual([]);
});

test('tokens put together are the prompt', () => {
  const prompt = 'a  red star, (top)';
  expect(tokens(prompt).join('')).toBe(prompt);
  expect(tokens(prompt).filter(isColor)).toEqual(['red']);
});
