import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { completions, EXAMPLES, isColor, randomCaption, tokens, unknownWords, unread } from './words.ts';

const TOKENIZER = new URL('../public/models/scenes-q4/tokenizer.json', import.meta.url);
const vocabulary = Object.keys((JSON.parse(readFileSync(TOKENIZER, 'utf8')) as { model: { vocab: object } }).model.vocab);
const unknown = (prompt: string): string[] => unknownWords(prompt, vocabulary);

test('the examples use only words of the model', () => {
  expect(EXAMPLES.flatMap(unknown)).toEqual([]);
});

test('random captions do too, and differ', () => {
  let state = 1;
  const random = (): number => (state = (state * 48271) % 2147483647) / 2147483647;
  const captions = Array.from({ length: 500 }, () => randomCaption(random));
  expect(captions.flatMap(unknown)).toEqual([]);
  expect(new Set(captions).size).toBeGreaterThan(450);
  for (const caption of captions) expect(caption).toMatch(/^a .+ on a .+ background( with \w+ dots)?$/);
  expect(randomCaption(() => 0.999999)).not.toContain('undefined');
});

test('unknown words are named once, whatever their case', () => {
  expect(unknown('A Dog above a RED dog, über a star')).toEqual(['dog', 'über']);
  expect(unknown('')).toEqual([]);
  expect(unknown('a pur'), 'it is being typed').toEqual([]);
  expect(unknown('a pur ')).toEqual(['pur']);
});

test('tokens put together are the prompt', () => {
  const prompt = 'a  red star, (top)';
  expect(tokens(prompt).join('')).toBe(prompt);
  expect(tokens(prompt).filter(isColor)).toEqual(['red']);
});

test('a word that is begun goes on as one of the vocabulary', () => {
  const offered = (prompt: string, caret = prompt.length): string[] => completions(prompt, caret, vocabulary).map(({ word }) => word);
  expect(offered('a bl')).toEqual(['black', 'blue']);
  expect(offered('a BLU')).toEqual(['blue']);
  expect(offered('a blue'), 'it is whole').toEqual([]);
  expect(offered('a b'), 'a letter says too little').toEqual([]);
  expect(offered('a blue star', 4), 'in the middle of a word').toEqual([]);
  const [first] = completions('a bl star', 4, vocabulary);
  expect(first).toEqual({ word: 'black', prompt: 'a black star', caret: 8 });
});

test('what a model does not read is named', () => {
  expect(unread('a red star, on a blue background', 5)).toBe('blue background');
  expect(unread('a red star', 5)).toBe('');
});
