import { expect, test } from 'vitest';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DEFAULT_MODEL } from './address.ts';
import { firstVisit, SHELVES, sparing, wordsKnown } from './shelf.ts';
import { unknownWords } from './words.ts';

const TOKENIZER = new URL('../public/models/scenes-q4/tokenizer.json', import.meta.url);
const vocabulary = Object.keys((JSON.parse(readFileSync(TOKENIZER, 'utf8')) as { model: { vocab: object } }).model.vocab);

test("the page's own model has three pictures that ship, of words it knows", () => {
  const { examples = [] } = SHELVES[DEFAULT_MODEL] ?? {};
  expect(examples).toHaveLength(3);
  for (const { prompt, picture } of examples) {
    expect(unknownWords(prompt, vocabulary)).toEqual([]);
    expect(existsSync(fileURLToPath(new URL(`../public/${picture}`, import.meta.url)))).toBe(true);
  }
});

test('a first visit fetches engine and model; of a model from elsewhere nothing is known', () => {
  const sizes = { engines: { webgpu: 3, cpu: 2 }, models: { 'models/a/': 5 }, words: { 'models/a/': ['cat'] } };
  expect(firstVisit('models/a/', sizes)).toEqual({ engine: 3, model: 5 });
  expect(firstVisit('https://host/b/', sizes)).toBeUndefined();
  expect([wordsKnown('models/a/', sizes), wordsKnown('https://host/b/', sizes)]).toEqual([['cat'], undefined]);
});

test('who saves data is asked', () => {
  expect(sparing(undefined)).toBe(false);
  expect(sparing({ type: 'wifi', saveData: false })).toBe(false);
  expect(sparing({ saveData: true })).toBe(true);
  expect(sparing({ type: 'cellular' })).toBe(true);
});
