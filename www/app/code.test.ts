import { expect, test } from 'vitest';
import { codeOf } from './code.ts';

const PARAMS = { prompt: 'a "red" star', negativePrompt: '', seed: 3, steps: 12, guidance: 3, compression: 'learned' };

test('the code says what the run was, and quotes it', () => {
  const code = codeOf('https://x.org/models/m/', PARAMS);
  expect(code).toContain('loadModel("https://x.org/models/m/")');
  expect(code).toContain('  prompt: "a \\"red\\" star",\n  seed: 3,\n  steps: 12,\n  guidance: 3,\n  compression: "learned",\n');
  expect(code).not.toContain('negativePrompt');
  expect(codeOf('m/', { ...PARAMS, negativePrompt: 'blue' })).toContain('  negativePrompt: "blue",\n');
});
