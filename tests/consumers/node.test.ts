/** The packed package in Node: what is in it, and a picture. Adds about half a minute to CI. */

import { execFileSync } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { installModel, installTarball, MODEL, root, type Project } from './tarball.ts';

let project: Project;
beforeAll(() => {
  project = installTarball();
});

/** What a program in the project prints, as JSON. */
function run(source: string): unknown {
  writeFileSync(join(project.folder, 'program.mjs'), source);
  return JSON.parse(execFileSync(process.execPath, ['program.mjs'], { cwd: project.folder, encoding: 'utf8', stdio: 'pipe' })) as unknown;
}

test('a picture in Node, from disk; and errors as everywhere', () => {
  const drawn = run(`
    import { checkSupport, loadModel, readParams } from 'diffcr-web';
    import { draw } from ${JSON.stringify(pathToFileURL(join(root, 'tests/consumers/pages/draw.js')).href)};
    const model = ${JSON.stringify(pathToFileURL(MODEL).href)};
    const { ok, backend, needs } = await checkSupport(model);
    const first = await draw({ loadModel }, model);
    const pipe = await loadModel(model, { device: 'auto' });
    const large = await pipe.generate({ width: 4096, height: 4096 }).catch(({ code, details }) => ({ code, details }));
    const vast = { shape: [1, 1, 128], data: new Float32Array(128).fill(3e38) };
    const vastRun = await pipe.generate({ promptEmbeds: vast, guidance: 1 }).catch(({ code, details }) => ({ code, details }));
    const out = await pipe.generate({ prompt: 'a small blue ring '.repeat(20), steps: 1 });
    const png = await out.toBlob();
    const missing = await loadModel('./nowhere').catch(({ code, details }) => ({ code, status: details.status }));
    await pipe.dispose();
    console.log(JSON.stringify({ ok, backend, needs, first, large, vastRun, warning: out.warnings[0]?.code, png: [png.type, (await readParams(png)).steps], note: pipe.note, missing }));
  `);
  expect(drawn).toMatchObject({
    ok: true,
    backend: 'cpu',
    needs: { downloadBytes: expect.any(Number), peakHeapBytes: expect.any(Number), peakGpuBytes: 0 },
    first: { width: 128, backend: 'cpu' },
    large: { code: 'OUT_OF_MEMORY', details: { needed: expect.any(Number), available: expect.any(Number) } },
    vastRun: { code: 'NOT_FINITE', details: { what: 'latents', step: 1, total: expect.any(Number) } },
    warning: 'PROMPT_TRUNCATED',
    png: ['image/png', 1],
    missing: { code: 'NETWORK', status: 404 },
  });
});

test('`npx diffcr-web fetch` puts a bundle into a folder, and goes on where it was', () => {
  const fetch = (...args: string[]): string =>
    execFileSync('npx', ['--no-install', 'diffcr-web', 'fetch', ...args], { cwd: project.folder, encoding: 'utf8', stdio: 'pipe' });
  expect(fetch(MODEL, 'public/model')).toMatch(/^\S+ [0-9a-f]{16}: \d+ files, [\d.]+ MB, in public\/model\n$/);
  expect(fetch(MODEL, 'public/model')).toMatch(/of which [\d.]+ MB were there/);
  expect(
    run(`
    import { loadModel } from 'diffcr-web';
    const pipe = await loadModel('./public/model/');
    console.log(JSON.stringify((await pipe.generate({ prompt: 'a red ring', steps: 1 })).image.width));
    await pipe.dispose();
  `),
  ).toBe(128);
});

test('a model is an npm package: the same picture as from its folder', async () => {
  await installModel(project);
  const pictures = run(`
    import { loadModel } from 'diffcr-web';
    import model from 'diffcr-web-scenes';
    import { draw } from ${JSON.stringify(pathToFileURL(join(root, 'tests/consumers/pages/draw.js')).href)};
    const packed = await draw({ loadModel }, model);
    const plain = await draw({ loadModel }, ${JSON.stringify(pathToFileURL(MODEL).href)});
    console.log(JSON.stringify([packed, plain]));
  `) as { hash: number }[];
  expect(pictures[0]).toMatchObject({ hash: expect.any(Number), width: 128 });
  expect(pictures[0]).toEqual(pictures[1]);
});

test('an idle model does not keep the process', () => {
  expect(
    run(`import { loadModel } from 'diffcr-web'; await loadModel(${JSON.stringify(pathToFileURL(MODEL).href)}); console.log(1);`),
  ).toBe(1);
});

test.each(['worker', 'diffcr.js', 'diffcr.wasm', 'diffcr-cpu.js', 'diffcr-cpu.wasm', 'package.json', 'react', 'element'])(
  'diffcr-web/%s is an entry, an inner file is none',
  (name) => {
    const resolved = run(`console.log(JSON.stringify(import.meta.resolve('diffcr-web/${name}')));`);
    expect(resolved).toContain('/node_modules/diffcr-web/');
    expect(() => run("import.meta.resolve('diffcr-web/dist/index.js')")).toThrow();
  },
);

test('a bundler that takes the client and leaves its worker thread is told of', () => {
  copyFileSync(join(project.folder, 'node_modules/diffcr-web/dist/node.js'), join(project.folder, 'bundled.mjs'));
  const told = run(`
    import { loadModel } from './bundled.mjs';
    const error = await loadModel(${JSON.stringify(pathToFileURL(MODEL).href)}).catch((error) => error);
    console.log(JSON.stringify([error.code, error.message, error.details.remedy]));
  `);
  expect(told).toEqual(['WORKER', expect.stringContaining('serverExternalPackages'), expect.stringContaining('external')]);
});
