/**
 * The steps that peers.mjs times, on Dawn in Node, beside onnxruntime-web where it starts: `node dawn.mjs NAME NET MODULES` with what
 * make_net.py wrote (and the bundles made of it) and a node_modules with `webgpu` and `onnxruntime-web`. Writes the section `NAME, Dawn`.
 */

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { loadBundle } from '../browser/pages/bundle.mjs';
import { importFrom, openDawn, read } from '../dawn/engine.mjs';
import { run } from './contest.mjs';
import { contest } from './pages/contest.mjs';
import { record, versionOf } from './results.mjs';

const [name, ...paths] = process.argv.slice(2);
const [net, modules] = paths.map((path) => resolve(path));
const { engine, adapter, close } = await openDawn(modules);
const openOrt = async () => {
  const ort = await importFrom(`${modules}/onnxruntime-web/dist/ort.webgpu.min.mjs`);
  Object.assign(ort.env.wasm, { wasmPaths: pathToFileURL(`${modules}/onnxruntime-web/dist/`).href, numThreads: 1 });
  return ort;
};
const results = await run(await contest({ engine, loadBundle, net: `${net}/`, read, openOrt }), net);
const versions = { webgpu: versionOf(`${modules}/webgpu`), onnxruntimeVersion: versionOf(`${modules}/onnxruntime-web`) };
record(`${name}, Dawn`, { adapter, ...versions, ...results });
close();
