import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { findOrientation, upright, withoutOrientation } from './exif.ts';

const fixture = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL(`../../tests/fixtures/pictures/${name}`, import.meta.url)));

test.each(['exif6.jpg', 'exif6.webp', 'exif6_rgba.png'])('%s says how it is turned, and its copy does not', (name) => {
  const bytes = fixture(name);
  const found = findOrientation(bytes);
  expect(found?.value).toBe(6);
  if (found === undefined) return;
  const copy = withoutOrientation(bytes, found);
  expect(findOrientation(copy)).toBeUndefined();
  expect(findOrientation(bytes)?.value).toBe(6);
});

test.each(['gama.png', 'alpha.webp', 'pixels.json'])('%s says nothing', (name) => {
  expect(findOrientation(fixture(name))).toBeUndefined();
});

test('what ends in the middle says nothing', () => {
  for (const name of ['exif6.jpg', 'exif6.webp', 'exif6_rgba.png']) {
    const bytes = fixture(name);
    for (let end = 0; end < bytes.length; end += 7) expect(() => findOrientation(bytes.slice(0, end))).not.toThrow();
  }
});

test('each of eight orientations is turned upright', () => {
  // Upright, 3 x 2: a b c / d e f. As TIFF says where the stored rows and columns lie.
  const stored: Record<number, [number, number, string]> = {
    1: [3, 2, 'abcdef'],
    2: [3, 2, 'cbafed'],
    3: [3, 2, 'fedcba'],
    4: [3, 2, 'defabc'],
    5: [2, 3, 'adbecf'],
    6: [2, 3, 'cfbead'],
    7: [2, 3, 'fcebda'],
    8: [2, 3, 'daebfc'],
  };
  for (const [orientation, [width, height, letters]] of Object.entries(stored)) {
    const data = Uint8ClampedArray.from([...letters].flatMap((letter) => [letter.charCodeAt(0), 1, 2, 3]));
    const pixels = upright({ width, height, data }, Number(orientation));
    const seen = String.fromCharCode(...pixels.data.filter((_, i) => i % 4 === 0));
    expect([pixels.width, pixels.height, seen], orientation).toEqual([3, 2, 'abcdef']);
  }
});
