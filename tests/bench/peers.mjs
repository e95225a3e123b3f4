/**
 * Time of a denoising step of the same network here and in onnxruntime-web, in one session of Chromium: dense, and with 30 % and
 * 50 % of the tokens skipped. `node peers.mjs NAME NET ORT` with what make_net.py wrote (and the bundles made of it) and the folder of
 * onnxruntime-web's package. Prints a table, and writes the section `NAME, Chromium` of results.json.
 */

import { fileURLToPath } from 'node:url';
import { startChromium } from './chromium.mjs';
import { run } from './contest.mjs';
import { record, versionOf } from './results.mjs';

const [name, net, ort] = process.argv.slice(2);
const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const { page, url, version, close } = await startChromium({
  '/': at('pages/'), '/test/': at('../browser/pages/'), '/engine/': at('../../build/wasm/'), '/net/': `${net}/`, '/ort/': `${ort}/dist/`,
});
await page.goto(`${url}peers.html`);
await page.waitForFunction(() => globalThis.peers !== undefined);
const results = await run({
  open: (...args) => page.evaluate((args) => globalThis.peers.open(...args), args),
  step: (name) => page.evaluate((name) => globalThis.peers.step(name), name),
}, net);
record(`${name}, Chromium`, { chromium: version, adapter: 'SwiftShader', onnxruntimeVersion: versionOf(ort), ...results });
await close();
