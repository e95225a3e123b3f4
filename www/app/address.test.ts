import { expect, test } from 'vitest';
import { asksFor, foreignHost, formOf, linkOf, pageOptions, otherModel } from './address.ts';

test('the demo draws scenes unless told otherwise', () => {
  expect(pageOptions('')).toEqual({ model: 'models/scenes-q4/', scenes: true, device: 'auto', draws: true });
  expect(pageOptions('?model=https://host/m/&device=cpu')).toEqual({ model: 'https://host/m/', scenes: false, device: 'cpu', draws: true });
  expect(pageOptions('?draw=no').draws).toBe(false);
});

test('a device that does not exist is refused', () => {
  expect(() => pageOptions('?device=tpu')).toThrow(expect.objectContaining({ code: 'INVALID_INPUT', details: { field: 'device' } }));
});

test('a link has the settings of a run, and gives them back', () => {
  const form = { prompt: 'a & b?', negativePrompt: '', seed: 4294967295, steps: 12, guidance: 3.5, compression: 'learned' };
  const link = linkOf('https://x.org/demo/?device=cpu&negative=old#top', form);
  expect(link).toContain('device=cpu');
  const { negativePrompt, ...given } = form;
  expect(formOf(new URL(link).search)).toEqual(given);
  expect(negativePrompt).toBe('');
  expect(formOf(new URL(linkOf(link, { ...form, negativePrompt: 'dark' })).search).negativePrompt).toBe('dark');
});

test("a size is in the link where it is not the model's own, and an address without one asks for that", () => {
  const form = { prompt: 'a', negativePrompt: '', seed: 1, steps: 12, guidance: 3, compression: 'off' };
  expect(formOf(new URL(linkOf('https://x/', { ...form, size: '192x128' })).search).size).toBe('192x128');
  expect(formOf('?size=large')).toEqual({});
  expect(linkOf('https://x/?size=1x1', form)).not.toContain('size');
  const drawn = { ...form, size: '128x128' };
  expect([asksFor(form, drawn), asksFor({ ...form, size: '192x128' }, drawn), asksFor({ ...form, seed: 2 }, drawn)]).toEqual([
    true,
    false,
    false,
  ]);
});

test('numbers in an address that are none are left out', () => {
  expect(formOf('?seed=x&steps=&guidance=NaN&prompt=')).toEqual({ prompt: '' });
});

test('another model begins anew, on the same device; one of another host is known by it', () => {
  expect(otherModel('https://page/x/?device=cpu&prompt=a+cat&seed=3', 'models/b/')).toBe('https://page/x/?device=cpu&model=models%2Fb%2F');
  expect(foreignHost('models/b/', 'https://page/x/')).toBeUndefined();
  expect(foreignHost('https://page/models/', 'https://page/x/')).toBeUndefined();
  expect(foreignHost('https://other/models/', 'https://page/x/')).toBe('other');
  expect(foreignHost('hf:owner/name', 'https://page/x/')).toBe('hf:owner/name');
});
