/** Prompts as words: what a model has never seen, how a word could go on, and captions of the scenes model, drawn at random. */

export const COLORS = ['red', 'orange', 'yellow', 'green', 'blue', 'purple', 'pink', 'brown', 'black', 'white', 'gray', 'cyan'] as const;
const SHAPES = ['circle', 'square', 'triangle', 'star', 'heart', 'ring', 'cross', 'moon', 'diamond'];
const SIZES = ['small ', '', 'large '];
const PLACES = ['', '', ' in the left', ' in the right', ' in the top', ' in the bottom', ' in the center'];
const RELATIONS = ['left of', 'right of', 'above', 'below'];
export const EXAMPLES: readonly string[] = [
  'a large red circle on a blue background',
  'a cyan ring above a pink square on a black background',
  'a orange circle in the right on a white background',
  'a green cross on a yellow and white striped background',
  'a white moon in the center on a purple to black gradient background',
];

/** The prompt cut into words and what lies between them; the model reads it in lower case. */
export function tokens(prompt: string): string[] {
  return prompt.match(/[\p{L}\p{N}]+|[^\p{L}\p{N}]+/gu) ?? [];
}

function wordsOf(prompt: string): string[] {
  return tokens(prompt.toLowerCase()).filter((token) => /[\p{L}\p{N}]/u.test(token));
}

/** Words that are not in the `vocabulary`, each once, in order; the last one may still become one that is. */
export function unknownWords(prompt: string, vocabulary: readonly string[]): string[] {
  const known = new Set(vocabulary);
  const last = /[\p{L}\p{N}]+$/u.exec(prompt.toLowerCase())?.[0];
  const mayBecome = (word: string): boolean => word === last && vocabulary.some((each) => each.startsWith(word));
  return [...new Set(wordsOf(prompt))].filter((word) => !known.has(word) && !mayBecome(word));
}

/** What of a prompt a model that reads `longest` words does not read. */
export function unread(prompt: string, longest: number): string {
  return wordsOf(prompt).slice(longest).join(' ');
}

/** A word of the vocabulary in the place of the one that is being typed. */
export interface Completion {
  readonly word: string;
  /** The prompt with it, and where typing goes on. */
  readonly prompt: string;
  readonly caret: number;
}

const COMPLETIONS = 6;

/** How the word before the caret could go on; nothing where it is a letter, or known as it is and the only one. */
export function completions(prompt: string, caret: number, vocabulary: readonly string[]): Completion[] {
  const begun = /[\p{L}\p{N}]+$/u.exec(prompt.slice(0, caret))?.[0] ?? '';
  const isInside = /^[\p{L}\p{N}]/u.test(prompt.slice(caret));
  if (begun.length < 2 || isInside) return [];
  const start = begun.toLowerCase();
  const words = vocabulary.filter((word) => word.startsWith(start) && word !== start).slice(0, COMPLETIONS);
  const before = prompt.slice(0, caret - begun.length);
  return words.map((word) => ({
    word,
    prompt: `${before}${word} ${prompt.slice(caret).trimStart()}`,
    caret: before.length + word.length + 1,
  }));
}

export function isColor(word: string): boolean {
  return COLORS.some((color) => color === word.toLowerCase());
}

/** A caption as the model was trained on; `random` is uniform in [0, 1). */
export function randomCaption(random: () => number): string {
  const colors: string[] = [...COLORS];
  const take = (list: readonly string[]): string => list[Math.floor(random() * list.length)] ?? '';
  const color = (): string => colors.splice(Math.floor(random() * colors.length), 1)[0] ?? '';
  const [b1, b2, c1, c2] = [color(), color(), color(), color()];
  const background = take([
    `a ${b1} background`,
    `a ${b1} to ${b2} gradient background`,
    `a ${b1} and ${b2} striped background`,
    `a ${b1} and ${b2} checkered background`,
    `a ${b1} background with ${b2} dots`,
  ]);
  const subject =
    random() < 0.6
      ? `a ${take(SIZES)}${c1} ${take(SHAPES)}${take(PLACES)}`
      : `a ${c1} ${take(SHAPES)} ${take(RELATIONS)} a ${c2} ${take(SHAPES)}`;
  return `${subject} on ${background}`;
}
