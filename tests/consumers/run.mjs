/**
 * Projects whose tools are installed for it, each run in Chromium from the packed package to the same pictures: `make consumers`.
 * `node run.mjs [NAME ...]`; prints a line for each way to run a project, and fails where a picture differs.
 */

import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { modelPackage } from '../../www/scripts/model-package.mjs';
import { serve } from '../../www/scripts/serve.mjs';
import { chromium, LAUNCH } from '../bench/chromium.mjs';
import { BUNDLERS } from './projects/bundlers.mjs';
import { FRAMEWORKS } from './projects/frameworks.mjs';
import { NODE } from './projects/node.mjs';
import { script } from './projects/script.mjs';

/**
 * A way to run a project: `print` is a command that prints what it draws, or, for a browser, `run` is a command that builds it, `serve` one that serves it on a port. Without `serve`, the folder `out` is
 * served at `/app/`, with `page` as its index, a `copy` of the package's files in `diffcr/`, and `headers`. Of what the page complains about,
 * `expected` is let pass.
 * @typedef {{ print?: string[], run?: string[], serve?: (port: string) => string[], out?: string, page?: string, copy?: boolean, headers?: Record<string, string>, expected?: RegExp }} Way
 *
 * `packages` are installed beside the package, and `model` tells that the model is one of them; `assets` is where else the model lies, `load`
 * are more options of `loadModel`; `server` tells that the project's server draws too, at `/picture`, and `install` is another command than npm's.
 * @typedef {{ packages: string[], files?: Record<string, string>, ways: Record<string, Way>, load?: string, model?: boolean, assets?: string, server?: boolean, install?: string[] }} Project
 */

const root = fileURLToPath(new URL('../../', import.meta.url));
const MODEL = join(root, 'www/public/models/scenes-q4');
const PROJECTS = { ...BUNDLERS, ...FRAMEWORKS, ...NODE };
const NPM = ['npm', 'install', '--no-audit', '--no-fund', '--loglevel=error'];
/** A page that is not there after so long is not coming. */
const PATIENCE_MS = 120_000;

const pack = (folder, from) => {
  execFileSync('npm', ['pack', '--pack-destination', folder, from], { stdio: 'pipe' });
  return join(
    folder,
    readdirSync(folder).find((name) => name.endsWith('.tgz')),
  );
};
const tarballs = mkdtempSync(join(tmpdir(), 'diffcr-tarball-'));
const tarball = pack(tarballs, join(root, 'pkg'));
const modelFolder = join(tarballs, 'model');
await modelPackage(MODEL, modelFolder, 'diffcr-web-scenes', '0.1.0');
const modelTarball = pack(modelFolder, modelFolder);

/** A folder with the project, all of it installed. */
function install(name) {
  const { packages, files = {}, load, model, assets, server, install = NPM } = PROJECTS[name];
  const folder = mkdtempSync(join(tmpdir(), `diffcr-${name}-`));
  const written = { 'package.json': '{ "private": true, "type": "module" }', 'main.js': script({ load, model, server }), ...files };
  for (const [file, text] of Object.entries(written)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  cpSync(join(root, 'tests/consumers/pages/draw.js'), join(folder, 'draw.js'));
  if (assets !== undefined || !model) cpSync(MODEL, join(folder, assets ?? 'public/model'), { recursive: true });
  const all = [tarball, ...(model ? [modelTarball] : []), ...packages];
  execFileSync(install[0], [...install.slice(1), ...all], { cwd: folder, stdio: 'pipe' });
  return folder;
}

/** How a command of the project is started, by its own Node where it has one. */
const within = (folder) => ({
  cwd: folder,
  env: {
    ...process.env,
    PATH: `${join(folder, 'node_modules/.bin')}${delimiter}${process.env.PATH}`,
    NEXT_TELEMETRY_DISABLED: '1',
    ASTRO_TELEMETRY_DISABLED: '1',
  },
});

async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return String(port);
}

/** Serves a project by a command of its own; `said` is what it prints. */
async function start(folder, command) {
  const port = await freePort();
  const [program, ...args] = command(port);
  // A group of its own, so that what it starts ends with it.
  const child = spawn(program, args, { ...within(folder), detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data));
  const ended = new Promise((done) => child.once('exit', done));
  const close = async () => {
    try {
      process.kill(-child.pid);
    } catch {
      // It has ended by itself.
    }
    await ended;
  };
  const url = `http://localhost:${port}/`;
  for (const end = Date.now() + PATIENCE_MS; ; await new Promise((done) => setTimeout(done, 200))) {
    const answered = await fetch(url).then(
      () => true,
      () => false,
    );
    if (answered) return { url, close, said: () => said };
    if (child.exitCode === null && Date.now() < end) continue;
    await close();
    throw new Error(`nothing answers at ${url}: ${said.slice(-1000)}`);
  }
}

/** Serves what was built. */
async function host(folder, { out, page, copy, headers }) {
  const built = join(folder, out);
  if (page !== undefined) writeFileSync(join(built, 'index.html'), page);
  if (copy) cpSync(join(folder, 'node_modules/diffcr-web/dist'), join(built, 'diffcr'), { recursive: true });
  const { url, close } = await serve({ mounts: { '/app/': built, '/model/': MODEL }, headers });
  return { url: `${url}app/index.html`, close, said: () => '' };
}

/** What a project draws, by device. */
async function drawn(browser, folder, way) {
  if (way.print !== undefined)
    return JSON.parse(execFileSync(way.print[0], way.print.slice(1), { ...within(folder), encoding: 'utf8', stdio: 'pipe' }));
  if (way.run !== undefined) execFileSync(way.run[0], way.run.slice(1), { ...within(folder), stdio: 'pipe' });
  const server = await (way.serve === undefined ? host(folder, way) : start(folder, way.serve));
  const page = await browser.newPage();
  const complaints = [];
  page.on('pageerror', ({ message }) => complaints.push(message));
  page.on('response', (response) => response.status() >= 400 && complaints.push(`${response.status()} ${response.url()}`));
  page.on('console', (said) => {
    const { url } = said.location();
    if (said.type() === 'error' && !url.endsWith('/favicon.ico')) complaints.push(`${said.text()} ${url}`);
  });
  try {
    await page.goto(server.url, { timeout: PATIENCE_MS });
    await page.waitForFunction(() => globalThis.result !== undefined, undefined, { timeout: PATIENCE_MS });
    const unexpected = complaints.filter((complaint) => way.expected?.test(complaint) !== true);
    if (unexpected.length > 0) throw new Error('it complained');
    return await page.evaluate(() => globalThis.result);
  } catch (error) {
    throw new Error(`${error.message.split('\n')[0]} ${complaints.join('; ')} ${server.said().slice(-1000)}`, { cause: error });
  } finally {
    await page.close();
    await server.close();
  }
}

/** The pictures of the first project, by device. */
const pictures = {};

/** The line that tells of a result; throws where it is not the pictures of the others. */
function judged(result) {
  return Object.entries(result).map(([name, { hash, backend, error }]) => {
    const device = name === 'server' ? 'cpu' : name;
    if (error !== undefined) throw new Error(`${name}: ${error.code}: ${error.message}`);
    if (backend !== device) throw new Error(`drawn on ${backend}, not ${device}`);
    pictures[device] ??= hash;
    if (hash !== pictures[device]) throw new Error(`another picture, ${name}: ${hash}, not ${pictures[device]}`);
    return `${name} ${hash}`;
  });
}

const browser = await chromium.launch(LAUNCH);
let failed = 0;
const attempt = async (name, work) => {
  const start = performance.now();
  const line = await work().catch((error) => {
    failed += 1;
    return `FAILED, ${String(error.stderr ?? '').slice(-1500)} ${String(error.stdout ?? '').slice(-1500)} ${error.message}`;
  });
  if (line !== undefined) console.log(`${name}: ${line}, in ${Math.round((performance.now() - start) / 1000)} s`);
};
for (const name of process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PROJECTS)) {
  let folder;
  await attempt(name, async () => void (folder = install(name)));
  if (folder === undefined) continue;
  for (const [kind, way] of Object.entries(PROJECTS[name].ways)) {
    await attempt(`${name} ${kind}`, async () => judged(await drawn(browser, folder, way)).join(', '));
  }
  rmSync(folder, { recursive: true });
}
await browser.close();
rmSync(tarballs, { recursive: true });
process.exitCode = failed === 0 ? 0 : 1;
