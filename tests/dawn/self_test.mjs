/** Every kernel against plain tensor operations, on Dawn in Node: `node self_test.mjs MODULES`. Writes the section `self-test, Dawn` of the benchmark's results. */

import { resolve } from 'node:path';
import { record } from '../bench/results.mjs';
import { openDawn } from './engine.mjs';
import { excess } from './tolerance.mjs';

const { engine, adapter, close } = await openDawn(resolve(process.argv[2]));
const started = performance.now();
const errors = Object.entries(await engine.selfTest()).sort(([a, x], [b, y]) => excess(b, y) - excess(a, x));
const [[worst, error]] = errors;
const seconds = Math.round((performance.now() - started) / 1000);
console.log(`${errors.length} kernels and shapes in ${seconds} s, the worst ${worst}: ${error.toExponential(1)} (${adapter})`);
record('self-test, Dawn', { adapter, cases: errors.length, worst, error, seconds });
process.exitCode = excess(worst, error) <= 1 ? 0 : 1;
close();
