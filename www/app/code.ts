/** The code that draws a picture of the page in another page. */

import type { RunParams, Solver } from 'diffcr-web';
import { sidesOf } from './form.ts';

/** How the package is had. */
export const INSTALL = 'npm install diffcr-web';

/** A module that draws what `params` describe with the bundle at `model`. */
export function codeOf(
  model: string,
  params: Pick<RunParams, 'prompt' | 'negativePrompt' | 'seed' | 'steps' | 'guidance' | 'compression'> & {
    readonly solver?: Solver | undefined;
    readonly size?: string | undefined;
  },
): string {
  const { prompt, negativePrompt, seed, steps, guidance, compression, solver, size } = params;
  const sides = sidesOf(size);
  const options = [
    `prompt: ${JSON.stringify(prompt)},`,
    ...(negativePrompt === '' ? [] : [`negativePrompt: ${JSON.stringify(negativePrompt)},`]),
    `seed: ${seed},`,
    `steps: ${steps},`,
    `guidance: ${guidance},`,
    ...(compression === undefined ? [] : [`compression: ${JSON.stringify(compression)},`]),
    ...(solver === undefined ? [] : [`solver: ${JSON.stringify(solver)},`]),
    ...(sides === undefined ? [] : [`width: ${sides.width},`, `height: ${sides.height},`]),
  ];
  return [
    "import { loadModel } from 'diffcr-web';",
    '',
    `const pipe = await loadModel(${JSON.stringify(model)});`,
    'const out = await pipe.generate({',
    ...options.map((line) => `  ${line}`),
    '});',
    'document.body.append(Object.assign(new Image(), {',
    '  src: URL.createObjectURL(await out.toBlob()),',
    '}));',
  ].join('\n');
}
