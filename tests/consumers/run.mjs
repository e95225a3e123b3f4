/**
 * Projects whose bundlers are installed for it, each built from the packed package and run in Chromium to the same picture: `make consumers`.
 * `node bundlers.mjs [NAME ...]`; prints a line for each and fails where one differs.
 */

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { modelPackage } from '../../www/scripts/model-package.mjs';
import { serve } from '../../www/scripts/serve.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { chromium } = createRequire(join(root, 'www/package.json'))('playwright-core');
const MODEL = join(root, 'www/public/models/scenes-q4');
/** What the bundler is to find in the page's script. */
const main = (load = "device: 'cpu'", model = false) =>
  `import { loadModel } from 'diffcr-web';
   ${model ? "import model from 'diffcr-web-scenes';" : "const model = '/model/';"}
   import { OPTIONS, hashOf, told } from './draw.js';
   const draw = async () => {
     const pipe = await loadModel(model, { ${load} });
     const { image } = await pipe.generate(OPTIONS);
     return { hash: hashOf(image) };
   };
   draw().catch((error) => ({ error: told(error) })).then((result) => (globalThis.result = result));`;
const html = (script) => `<!doctype html><link rel="icon" href="data:,"><script type="module" src="${script}"></script>`;
/** For bundlers that leave `new URL('./worker.js', import.meta.url)` alone: the files are copied beside, and addressed. */
const copied = "device: 'cpu', workerUrl: '/app/diffcr/worker.js'";

/** Packages to install, files to write, a command to run, and the folder with the page. */
const PROJECTS = {
  'vite-7': { packages: ['vite@7'], files: { 'index.html': html('./main.js') }, run: ['vite', 'build', '--base', '/app/'], out: 'dist' },
  'vite-8': { packages: ['vite@8'], files: { 'index.html': html('./main.js') }, run: ['vite', 'build', '--base', '/app/'], out: 'dist' },
  'webpack-5': {
    packages: ['webpack@5', 'webpack-cli@6'],
    files: { 'webpack.config.cjs': "module.exports = { mode: 'production', entry: './main.js', output: { publicPath: '/app/' } };" },
    run: ['webpack'],
    out: 'dist',
    page: html('main.js'),
  },
  esbuild: {
    packages: ['esbuild@0.25'],
    files: {},
    load: copied,
    run: ['esbuild', 'main.js', '--bundle', '--format=esm', '--outdir=dist'],
    out: 'dist',
    page: html('main.js'),
    copy: true,
  },
  rollup: {
    packages: ['rollup@4', '@rollup/plugin-node-resolve@16'],
    files: {},
    load: copied,
    run: ['rollup', 'main.js', '--plugin', 'node-resolve={browser:true}', '--dir', 'dist', '--format', 'es'],
    out: 'dist',
    page: html('main.js'),
    copy: true,
  },
  parcel: {
    packages: ['parcel@2'],
    files: { 'index.html': html('./main.js') },
    load: copied,
    run: ['parcel', 'build', 'index.html', '--public-url', '/app/', '--dist-dir', 'dist', '--no-source-maps'],
    out: 'dist',
    copy: true,
    headers: { 'content-security-policy': '' }, // its pages hold a script
  },
};

/** The model is a package too: the bundler copies what it exports. */
for (const name of ['vite-8', 'webpack-5']) PROJECTS[`${name}-model`] = { ...PROJECTS[name], model: true };

/** Where a project's bundle lies. */
function build(name, tarball) {
  const { packages, files, load, run, out, page, copy, model } = PROJECTS[name];
  const folder = mkdtempSync(join(tmpdir(), `diffcr-${name}-`));
  const written = { 'package.json': '{ "private": true, "type": "module" }', 'main.js': main(load, model), ...files };
  for (const [file, text] of Object.entries(written)) writeFileSync(join(folder, file), text);
  cpSync(join(root, 'tests/consumers/pages/draw.js'), join(folder, 'draw.js'));
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', tarball, ...(model ? [modelTarball] : []), ...packages], {
    cwd: folder,
    stdio: 'pipe',
  });
  execFileSync(join(folder, 'node_modules/.bin', run[0]), run.slice(1), { cwd: folder, stdio: 'pipe' });
  const built = join(folder, out);
  if (page !== undefined) writeFileSync(join(built, 'index.html'), page);
  if (copy) cpSync(join(folder, 'node_modules/diffcr-web/dist'), join(built, 'diffcr'), { recursive: true });
  return { folder, built };
}

/** What the page of a built project draws. */
async function visit(browser, built, headers) {
  const server = await serve({ mounts: { '/app/': built, '/model/': MODEL }, headers });
  const page = await browser.newPage();
  const complaints = [];
  page.on('pageerror', ({ message }) => complaints.push(message));
  page.on('console', (said) => said.type() === 'error' && complaints.push(said.text()));
  try {
    await page.goto(`${server.url}app/index.html`);
    await page.waitForFunction(() => globalThis.result !== undefined, undefined, { timeout: 60_000 });
    return await page.evaluate(() => globalThis.result);
  } catch (error) {
    throw new Error(`${error.message.split('\n')[0]} ${complaints.join('; ')}`, { cause: error });
  } finally {
    await page.close();
    await server.close();
  }
}

const tarballs = mkdtempSync(join(tmpdir(), 'diffcr-tarball-'));
mkdirSync(tarballs, { recursive: true });
execFileSync('npm', ['pack', '--pack-destination', tarballs, join(root, 'pkg')], { stdio: 'pipe' });
const tarball = join(tarballs, readdirSync(tarballs)[0]);
const modelFolder = join(tarballs, 'model');
await modelPackage(MODEL, modelFolder, 'diffcr-web-scenes', '0.1.0');
execFileSync('npm', ['pack', '--pack-destination', modelFolder, modelFolder], { stdio: 'pipe' });
const modelTarball = join(modelFolder, 'diffcr-web-scenes-0.1.0.tgz');
const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/google-chrome'].find((place) => existsSync(place));
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
let [failed, picture] = [0, undefined];
for (const name of process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PROJECTS)) {
  try {
    const { folder, built } = build(name, tarball);
    const { hash, error } = await visit(browser, built, PROJECTS[name].headers);
    rmSync(folder, { recursive: true });
    if (error !== undefined) throw new Error(`${error.code}: ${error.message}`);
    picture ??= hash;
    if (hash !== picture) throw new Error(`another picture: ${hash}, not ${picture}`);
    console.log(`${name}: the picture ${hash}`);
  } catch (error) {
    failed += 1;
    console.log(`${name}: FAILED, ${String(error.stderr ?? '').slice(-600) || error.message}`);
  }
}
await browser.close();
process.exitCode = failed === 0 ? 0 : 1;
