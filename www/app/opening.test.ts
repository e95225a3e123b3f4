import { afterEach, expect, test, vi } from 'vitest';
import { formatOf, openPicture, rasterSize } from './opening.ts';

afterEach(() => vi.unstubAllGlobals());

/** The beginning of an ISO media file of those brands. */
const media = (brands: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(`\0\0\0\x20ftyp${brands}`);

test('formats that not every browser reads are known by their brands, types or names', async () => {
  expect(await formatOf(new Blob([media('heic\0\0\0\0mif1heic')]))).toBe('HEIC');
  expect(await formatOf(new Blob([media('mif1\0\0\0\0mif1miafavif')]))).toBe('AVIF');
  expect(await formatOf(new Blob(['x'], { type: 'image/heif' }))).toBe('HEIC');
  expect(await formatOf(new File(['x'], 'IMG_1.HEIC'))).toBe('HEIC');
  expect(await formatOf(new File(['heic, avif'], 'notes.png', { type: 'image/png' }))).toBeUndefined();
  expect(await formatOf(new Blob([media('isom')], { type: 'image/png' }))).toBeUndefined();
});

test('what the browser does not read is named in a sentence', async () => {
  vi.stubGlobal('createImageBitmap', () => Promise.reject(new Error('no')));
  const said = (file: File): Promise<string> =>
    openPicture(file).then(
      () => 'opened',
      (error: unknown) => (error as Error).message,
    );
  expect(await said(new File([media('heic\0\0\0\0mif1')], 'IMG_7.HEIC', { type: 'image/heic' }))).toBe(
    'image: IMG_7.HEIC is HEIC, and this browser cannot read it: save it as JPEG or PNG',
  );
  expect(await said(new File([media('avif')], 'a', { type: '' }))).toContain('a is AVIF, and this browser cannot read it');
  expect(await said(new File(['?'], 'no.png', { type: 'image/png' }))).toBe('image: no.png is no image that this browser can read');
  expect(await said(new File(['?'], 'a.pdf', { type: 'application/pdf' }))).toBe('image: a.pdf is no image, but application/pdf');
});

test('a drawing becomes a picture that is worth drawing on', () => {
  expect(rasterSize(24, 12)).toEqual({ width: 1024, height: 512 });
  expect(rasterSize(0, 0)).toEqual({ width: 1024, height: 1024 });
  expect(rasterSize(1600, 1200)).toEqual({ width: 1600, height: 1200 });
  expect(rasterSize(8192, 4096)).toEqual({ width: 4096, height: 2048 });
});
