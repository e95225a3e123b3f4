/**
 * What compilers of real GPUs make of our kernels, on a machine without any: `check.mjs MESA WGSL [--write] [DEVICE...]`. Prints a table,
 * and fails on a kernel that does not compile, or that spills more or has 5 % fewer multiply-adds an instruction than `figures.json` says
 * of the same Mesa. `--write` writes `figures.json` and the table of docs/gpu.md instead of comparing. Run by scripts/gpu-check.sh.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEVICES } from './devices.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const FIGURES = join(here, 'figures.json');
const DOCS = join(here, '../../docs/gpu.md');
/** Of what a kernel had, what it may not fall below. */
const FALL = 0.95;
const LIMIT_MS = 120_000;

const [mesa, wgsl, ...rest] = process.argv.slice(2);
const write = rest.includes('--write');
const asked = rest.filter((word) => word !== '--write');
const unknown = asked.find((name) => !(name in DEVICES));
if (unknown) throw new Error(`no device ${unknown}: ${Object.keys(DEVICES).join(', ')}`);
const devices = asked.length > 0 ? asked : Object.keys(DEVICES);
const kernels = readdirSync(wgsl)
  .filter((name) => name.endsWith('.wgsl'))
  .sort();

/** Compiles one kernel for one device. */
function compile(device, kernel) {
  const { shim, icd, env, read } = DEVICES[device];
  const lib = join(mesa, 'root/usr/lib/x86_64-linux-gnu');
  const driver = join(mesa, `${icd}_icd.json`);
  // A loader of the same libc as the drivers': this machine's own may be older.
  const args = ['--library-path', lib, '--preload', join(lib, `lib${shim}_noop_drm_shim.so`), process.execPath];
  args.push(join(here, 'compile.mjs'), join(mesa, 'npm/node_modules'), join(wgsl, kernel));
  const own = { VK_DRIVER_FILES: driver, VK_ICD_FILENAMES: driver, VK_LOADER_LAYERS_DISABLE: '*', NODEVICE_SELECT: '1' };
  const child = spawn(join(lib, 'ld-linux-x86-64.so.2'), args, {
    env: { PATH: process.env.PATH, MESA_SHADER_CACHE_DISABLE: 'true', XDG_RUNTIME_DIR: mesa, HOME: mesa, ...own, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
  });
  let log = '';
  child.stdout.on('data', (text) => (log += text));
  child.stderr.on('data', (text) => (log += text));
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      const marks = Object.assign({}, ...[...log.matchAll(/^@@@ (\{.*\})$/gm)].map(([, json]) => JSON.parse(json)));
      const row = { device, kernel: basename(kernel, '.wgsl'), driver: marks.driver };
      if (marks.skipped) return resolve(undefined);
      if (code !== 0 || marks.error) return resolve({ ...row, error: marks.error ?? `the compiler ended with ${code ?? signal}` });
      const listing = log.slice(log.indexOf('@@@ {"begin"'), log.lastIndexOf('@@@ {"end"') + 1 || undefined);
      return resolve({ ...row, ...read(listing.length > 100 ? listing : log) });
    });
  });
}

const todo = devices.flatMap((device) => kernels.map((kernel) => [device, kernel]));
const jobs = todo.filter(([device, kernel]) => DEVICES[device].packedDot || !kernel.includes('int8'));
const rows = [];
await Promise.all(
  Array.from({ length: availableParallelism() }, async () => {
    for (let job = jobs.shift(); job; job = jobs.shift()) {
      const row = await compile(...job);
      if (row) rows.push(row);
    }
  }),
);
rows.sort((a, b) => devices.indexOf(a.device) - devices.indexOf(b.device) || (a.kernel < b.kernel ? -1 : 1));

const figure = ({ density }) => (density === undefined ? '' : density.toFixed(2));
const cell = (row) => (row === undefined ? '' : (row.error ?? [figure(row), `${row.registers} r`, `${row.waves} w`, row.spilled ? `**${row.spilled} spilled**` : ''].filter(Boolean).join(', ')));
const names = [...new Set(rows.map((row) => row.kernel))].sort();
const line = (name) => `| ${name} | ${devices.map((device) => cell(rows.find((row) => row.device === device && row.kernel === name))).join(' | ')} |`;
const table = [`| kernel | ${devices.map((device) => DEVICES[device].title).join(' | ')} |`, `| --- |${' --- |'.repeat(devices.length)}`, ...names.map(line)].join('\n');
console.log(table);

const faults = rows.filter((row) => row.error).map((row) => `${row.kernel} on ${row.device}: ${row.error}`);
if (write) {
  writeFileSync(FIGURES, `${JSON.stringify(rows.map(({ device, kernel, driver, density, spilled }) => ({ device, kernel, driver, density: density && Number(density.toFixed(3)), spilled })), null, 1)}\n`);
  const [before, after] = readFileSync(DOCS, 'utf8').split(/<!-- figures -->[^]*<!-- end -->/);
  writeFileSync(DOCS, `${before}<!-- figures -->\n${table}\n<!-- end -->${after}`);
} else {
  const known = JSON.parse(readFileSync(FIGURES, 'utf8'));
  for (const row of rows) {
    const before = known.find((old) => old.device === row.device && old.kernel === row.kernel);
    const worse = [];
    if (row.spilled > (before?.spilled ?? 0)) worse.push(`${row.spilled} spilled, ${before?.spilled ?? 0} before`);
    if (row.density < FALL * before?.density) worse.push(`${figure(row)} multiply-adds an instruction, ${figure(before)} before`);
    for (const what of worse) {
      if (before !== undefined && before.driver !== row.driver) console.log(`${row.kernel} on ${row.device}: ${what}, under ${before.driver}`);
      else faults.push(`${row.kernel} on ${row.device}: ${what}`);
    }
  }
}
for (const fault of faults) console.error(fault);
console.log(`${rows.length} kernels compiled, ${faults.length} at fault`);
process.exit(faults.length > 0 ? 1 : 0);
