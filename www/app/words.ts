/** The words of the scenes model: its captions, drawn at random, and what in a prompt it has never seen. */

export const COLORS = ['red', 'orange', 'yellow', 'green', 'blue', 'purple', 'pink', 'brown', 'black', 'white', 'gray', 'cyan'] as const;
const SHAPES = ['circle', 'square', 'triangle', 'star', 'heart', 'ring', 'cross', 'moon', 'diamond'];
const SIZES = ['small ', '', 'large '];
const PLACES = ['', '', ' in the left', ' in the right', ' in the top', ' in the bottom', ' in the center'];
const RELATIONS = ['left of', 'right of', 'above', 'below'];
const SMALL_WORDS =
  'a in the on of to and with background gradient striped checkered dots above below left right top bottom center small large dotted';

const KNOWN: ReadonlySet<string> = new Set([...COLORS, ...SHAPES, ...SMALL_WORDS.split(' ')]);

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

/** Words that the model does not know, each once, in order. */
export function unknownWords(prompt: string): string[] {
  const words = tokens(prompt.toLowerCase()).filter((token) => /[\p{L}\p{N}]/u.test(token));
  return [...new Set(words)].filter((word) => !KNOWN.has(word));
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
