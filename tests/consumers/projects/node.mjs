/** Node without a bundler, in the versions that the package promises. */

const PROGRAM = `
import { loadModel } from 'diffcr-web';
import { draw } from './draw.js';

console.log(JSON.stringify({ cpu: await draw({ loadModel }, './public/model/') }));
`;

const node = (version) => ({
  packages: [`node@${version}`],
  files: { 'program.js': PROGRAM },
  ways: { print: { print: ['node', 'program.js'] } },
});

/** @type {Record<string, import('../run.mjs').Project>} */
export const NODE = { 'node-22': node(22), 'node-24': node(24) };
