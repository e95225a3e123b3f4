/** The packed package's types in the versions of TypeScript that it promises: no setting is looser than a consumer's may be. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { installTarball, root, type Project } from './tarball.ts';

const PROGRAM = `
import { checkSupport, DiffCRError, loadModel, readParams, SOLVERS, type Output, type Solver } from 'diffcr-web';

export async function draw(solver: Solver = SOLVERS[0]): Promise<Output> {
  const pipe = await loadModel('https://host/', { device: 'cpu', onProgress: ({ overall }) => void overall });
  const many: Output[] = await pipe.generate({ count: 2, solver });
  // @ts-expect-error: it is none of the devices
  void loadModel('https://host/', { device: 'tpu' });
  void [many, pipe.info.defaults.steps, (await checkSupport('x')).needs?.peakHeapBytes, await readParams(new Blob())];
  for await (const event of pipe.stream({ prompt: 'x' })) if (event.type === 'done') void event.output.image.width;
  return await pipe.generate({ prompt: 'x' }).catch((error: unknown) => {
    if (DiffCRError.is(error, 'OUT_OF_MEMORY')) void (error.details.needed + 1);
    throw error;
  });
}
`;
const ENTRIES = `
import { DiffCRImage } from 'diffcr-web/element';
import { useModel } from 'diffcr-web/react';

export const Picture = (): string => \`\${useModel('/model/').progress?.overall ?? 0}\`;
export const width = (element: DiffCRImage): number | undefined => element.output?.image.width;
`;

let project: Project;
beforeAll(() => {
  project = installTarball();
  const types = join(project.folder, 'node_modules/@types');
  mkdirSync(types);
  symlinkSync(join(root, 'www/node_modules/@types/react'), join(types, 'react'));
  writeFileSync(join(project.folder, 'package.json'), '{ "private": true, "type": "module" }');
  for (const [name, text] of Object.entries({ program: PROGRAM, entries: ENTRIES })) {
    writeFileSync(join(project.folder, `${name}.ts`), text);
  }
});

/** What a version of the compiler says of a file; nothing where it is right. */
function check(version: string, file: string, settings: readonly string[]): string {
  const tsc = join(root, `www/node_modules/${version}/bin/tsc`);
  const strict = [
    '--noEmit',
    '--strict',
    '--exactOptionalPropertyTypes',
    '--skipLibCheck',
    'false',
    '--target',
    'es2022',
    '--typeRoots',
    'none',
  ];
  try {
    execFileSync(process.execPath, [tsc, ...strict, ...settings, file], { cwd: project.folder, encoding: 'utf8', stdio: 'pipe' });
    return '';
  } catch (error) {
    return String((error as { stdout?: string }).stdout);
  }
}

const BUNDLER = ['--module', 'esnext', '--moduleResolution', 'bundler'];
const NODE16 = ['--module', 'node16', '--moduleResolution', 'node16'];
const LIB = ['--lib', 'es2022,dom'];

const versions = ['typescript-5.0', 'typescript-5.4', 'typescript', 'typescript-7'] as const;

test.each(versions.flatMap((version) => [[version, ...BUNDLER] as const, [version, ...NODE16] as const]))(
  'the types stand alone in %s, %s %s %s %s',
  (version, ...settings) => {
    expect(check(version, 'program.ts', [...settings, ...LIB])).toBe('');
  },
);

test('with the library of a later ECMAScript too', () => {
  expect(check('typescript-7', 'program.ts', [...BUNDLER, '--lib', 'esnext,dom'])).toBe('');
});

test.each(versions)("the hook's and the element's, in %s", (version) => {
  expect(check(version, 'entries.ts', [...BUNDLER, ...LIB])).toBe('');
});

test('the types resolve in every way of an ESM package', () => {
  const attw = join(root, 'www/node_modules/@arethetypeswrong/cli/dist/index.js');
  const entries = ['--entrypoints', '.', 'react', 'element'];
  execFileSync(process.execPath, [attw, project.tarball, '--profile', 'esm-only', ...entries], { encoding: 'utf8', stdio: 'pipe' });
});
