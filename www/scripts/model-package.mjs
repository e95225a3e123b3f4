/**
 * Makes an npm package of a bundle: `model-package.mjs BUNDLE FOLDER NAME [VERSION]`. What it exports are the addresses of the bundle's
 * files, each spelled out, so that every bundler sees assets in them: `loadModel` takes them.
 */

import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Rejects where a file of the bundle is not what its manifest says. */
export async function modelPackage(bundle, folder, name, version) {
  const text = await readFile(join(bundle, 'diffcr.json'), 'utf8');
  const manifest = JSON.parse(text);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const { path, sha256 } of manifest.files) {
    const found = createHash('sha256')
      .update(await readFile(join(bundle, path)))
      .digest('hex');
    if (found !== sha256) throw new Error(`${join(bundle, path)} is not what diffcr.json lists`);
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await copyFile(join(bundle, path), join(folder, path));
  }
  await writeFile(join(folder, 'diffcr.json'), text);
  const paths = ['diffcr.json', ...manifest.files.map(({ path }) => path)];
  const lines = paths.map((path) => `  ${JSON.stringify(path)}: new URL(${JSON.stringify(`./${path}`)}, import.meta.url).href,\n`);
  await writeFile(join(folder, 'index.js'), `/** The addresses of the bundle's files. */\nexport default {\n${lines.join('')}};\n`);
  const types =
    'import type { BundleAddresses } from "diffcr-web";\n\n/** What `loadModel` takes. */\ndeclare const model: BundleAddresses;\nexport default model;\n';
  await writeFile(join(folder, 'index.d.ts'), types);
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(described(name, version, manifest, paths), null, 2)}\n`);
  await writeFile(join(folder, 'README.md'), readme(name, manifest));
  await copyFile(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  await copyFile(join(root, 'THIRD_PARTY.md'), join(folder, 'THIRD_PARTY.md'));
}

function described(name, version, manifest, paths) {
  const assets = Object.fromEntries(paths.map((path) => [`./${path}`, `./${path}`]));
  return {
    name,
    version,
    description: `The model ${manifest.name} of diffcr-web: text to image in the browser`,
    license: manifest.license ?? 'Apache-2.0',
    keywords: ['diffcr-web', 'diffusion', 'text-to-image', 'weights'],
    type: 'module',
    sideEffects: false,
    main: './index.js',
    types: './index.d.ts',
    exports: { '.': { types: './index.d.ts', default: './index.js' }, ...assets, './package.json': './package.json' },
    peerDependencies: { 'diffcr-web': `^${version}` },
  };
}

function readme(name, manifest) {
  const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
  return `# ${name}

The model \`${manifest.name}\` for [diffcr-web](https://www.npmjs.com/package/diffcr-web), ${(bytes / 1e6).toFixed(1)} MB in ${manifest.files.length} files.

\`\`\`ts
import { loadModel } from 'diffcr-web';
import model from '${name}';

const pipe = await loadModel(model); // a bundler copies the files, or node reads them
const { image } = await pipe.generate({ prompt: 'a red apple' });
\`\`\`

Without a bundler, put the files into your site's folder: \`npx diffcr-web fetch node_modules/${name} public/model\`, then \`loadModel('/model/')\`.

Licence: ${manifest.license ?? 'Apache-2.0'}. What it was trained on: THIRD_PARTY.md.
`;
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const [bundle, folder, name, version = JSON.parse(await readFile(join(root, 'pkg/package.json'), 'utf8')).version] = argv.slice(2);
  if (name === undefined) throw new Error('model-package.mjs BUNDLE FOLDER NAME [VERSION]');
  await modelPackage(bundle, folder, name, version);
  console.log(`${folder}: ${name} ${version}`);
}
