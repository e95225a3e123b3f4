/** What the page knows of a model before it is there: a sentence, pictures it drew, what has to be fetched. One entry a model. */

import type { Backend } from 'diffcr-web';

export interface Example {
  readonly prompt: string;
  readonly seed: number;
  /** Address of the picture, drawn with the page's first settings. */
  readonly picture: string;
}

export interface Shelf {
  /** What it can draw. */
  readonly sentence: string;
  readonly examples: readonly Example[];
}

/** By the folder of the bundle. */
export const SHELVES: Readonly<Record<string, Shelf>> = {
  'models/scenes-q4/': {
    sentence: 'A small model of coloured shapes: one or two on a background, where you say.',
    examples: [
      { prompt: 'a large red circle on a blue background', seed: 7, picture: 'examples/circle.png' },
      { prompt: 'a cyan ring above a pink square on a black background', seed: 7, picture: 'examples/ring.png' },
      { prompt: 'a white moon in the center on a purple to black gradient background', seed: 7, picture: 'examples/moon.png' },
    ],
  },
  'models/stickers/': {
    sentence:
      'Stickers of animals, food, plants and things, in your colours. It is still in training: of things alone three in four are right.',
    examples: [
      { prompt: 'a green car', seed: 3, picture: 'examples/car.png' },
      { prompt: 'a yellow star on a blue background', seed: 3, picture: 'examples/yellow-star.png' },
      { prompt: 'a glossy green frog', seed: 3, picture: 'examples/frog.png' },
    ],
  },
  'models/stickers-lt/': {
    sentence: 'The stickers with routers, in 4 bits: a third of the work is skipped, and of things alone seven in ten are right.',
    examples: [
      { prompt: 'a green car', seed: 3, picture: 'examples/lt-car.png' },
      { prompt: 'a yellow star on a blue background', seed: 3, picture: 'examples/lt-star.png' },
      { prompt: 'a pink house', seed: 3, picture: 'examples/lt-house.png' },
    ],
  },
};

/** Written in when the page is built. */
declare const SIZES: {
  /** Compressed bytes of the engines. */
  readonly engines: Readonly<Record<Backend, number>>;
  /** Bytes of the page's own bundles, by folder. */
  readonly models: Readonly<Record<string, number>>;
  /** The words that each of them knows, where its vocabulary is one of words. */
  readonly words: Readonly<Record<string, readonly string[]>>;
};

/** Bytes that a first visit fetches, at the most: the larger engine and the model; undefined for a model from elsewhere. */
export function firstVisit(model: string, sizes: typeof SIZES = SIZES): { readonly engine: number; readonly model: number } | undefined {
  const own = sizes.models[model];
  return own === undefined ? undefined : { engine: Math.max(...Object.values(sizes.engines)), model: own };
}

/** The words that one of the page's own models knows, before it is there. */
export function wordsKnown(model: string, sizes: Pick<typeof SIZES, 'words'> = SIZES): readonly string[] | undefined {
  return sizes.words[model];
}

/** The bundles that lie beside the page. */
export function ownModels(sizes: typeof SIZES = SIZES): { readonly model: string; readonly name: string; readonly size: number }[] {
  return Object.entries(sizes.models).map(([model, size]) => ({ model, name: model.split('/').at(-2) ?? model, size }));
}

/** Whether a reader is to be asked before anything large is fetched. */
export function sparing(connection: { readonly saveData?: boolean; readonly type?: string } | undefined): boolean {
  return connection?.saveData === true || connection?.type === 'cellular';
}
