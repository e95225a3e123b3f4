/**
 * Time of a denoising step of the same network here and in onnxruntime-web, in one session of Chromium: dense, and with 30 % and
 * 50 % of the tokens skipped. `node peers.mjs NET ORT` with what make_net.py wrote (and the bundle made of it, NET/bundle) and the
 * folder of onnxruntime-web's modules. Prints a table, and writes results.json beside this file.
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { chromium } from '../../www/node_modules/playwright-core/index.mjs';
import { serve } from '../../www/scripts/serve.mjs';

const [net, ort] = process.argv.slice(2);
const at = (path) => fileURLToPath(new URL(path, import.meta.url));
/** Of the largest value of diffusers' output: beyond it a time means nothing. */
const TOLERANCE = 1e-3;
/** Rounds of one step each, so that what else the machine does meets all alike; the quickest step counts. */
const ROUNDS = 2;

const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/google-chrome'].find((path) => existsSync(path));
const flags = ['--no-sandbox', '--enable-unsafe-webgpu', '--enable-features=Vulkan', '--use-webgpu-adapter=swiftshader', '--ignore-gpu-blocklist', '--disable-background-networking'];
const server = await serve({ mounts: { '/': at('pages/'), '/test/': at('../browser/pages/'), '/engine/': at('../../build/wasm/'), '/net/': `${net}/`, '/ort/': `${ort}/` } });
const browser = await chromium.launch({ executablePath, args: flags });
const page = await browser.newPage();
page.setDefaultTimeout(1_800_000);
await page.goto(`${server.url}peers.html`);
await page.waitForFunction(() => globalThis.peers !== undefined);

const contestants = { dense: ['ours'], '30 %': ['ours', 0.3], '50 %': ['ours', 0.5], onnxruntime: ['onnxruntime'] };
for (const [name, [who, option]] of Object.entries(contestants)) {
  const error = await page.evaluate(([name, who, option]) => globalThis.peers.open(name, who, option), [name, who, option]);
  if (!(error <= TOLERANCE)) throw new Error(`${name}: ${error} of the largest value away from diffusers`);
  contestants[name] = { error, ms: Infinity };
}
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, best] of Object.entries(contestants)) {
    const ms = Math.round(await page.evaluate((name) => globalThis.peers.step(name), name));
    console.error(`${name}: ${ms} ms`);
    best.ms = Math.min(best.ms, ms);
  }
}
const version = browser.version();
await browser.close();
await server.close();

const { tokens, width, layers, caption, patch } = { tokens: 256, width: 192, layers: 12, caption: 20, patch: 192 };
const flops = { dense: step(tokens), '30 %': step(Math.ceil(0.7 * tokens)), '50 %': step(0.5 * tokens) };
const rows = ['dense', '30 %', '50 %'].map((name) => ({
  name,
  ms: contestants[name].ms,
  overOnnxruntime: round(contestants.onnxruntime.ms / contestants[name].ms),
  overDense: round(contestants.dense.ms / contestants[name].ms),
  fewerFlops: round(flops.dense / flops[name]),
}));
const results = {
  machine: { cpu: cpus()[0]?.model, cores: cpus().length, chromium: version, adapter: 'SwiftShader' },
  onnxruntimeWeb: { version: JSON.parse(readFileSync(`${ort}/../package.json`, 'utf8')).version, ms: contestants.onnxruntime.ms, error: contestants.onnxruntime.error },
  error: contestants.dense.error,
  rows,
};
writeFileSync(at('results.json'), `${JSON.stringify(results, null, 2)}\n`);
console.log(`\n${'a step, batch 2'.padEnd(24)} ${['ms', 'over ORT', 'over dense', 'fewer FLOPs'].map((head) => head.padStart(12)).join(' ')}`);
console.log(`${'onnxruntime-web'.padEnd(24)} ${String(contestants.onnxruntime.ms).padStart(12)}`);
for (const { name, ...values } of rows) console.log(`${name.padEnd(24)} ${Object.values(values).map((value) => String(value).padStart(12)).join(' ')}`);

/** Multiply-adds of an image as src/flops.rs counts them, where layers run k tokens. */
function step(k) {
  return layers * (14 * k * width * width + 2 * k * (k + caption) * width) + 2 * tokens * width * patch + 256 * width + 7 * width * width;
}

function round(value) {
  return Math.round(value * 100) / 100;
}
