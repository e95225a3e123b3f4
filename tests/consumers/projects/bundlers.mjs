/** Projects of bundlers: built under the sub-path `/app/`, and, where there is one, in the dev server. */

import { html } from './script.mjs';

/** For bundlers that leave `new URL('./worker.js', import.meta.url)` alone: the files are copied beside, and addressed. */
const copied = "workerUrl: '/app/diffcr/worker.js'";

/** What Vite 7's dev server says of the worker, which is not beside the module that it moved. */
const MOVED = /404.*\.vite\/deps\/worker\.js/;
const PNPM = ['npx', '--yes', 'pnpm@10', 'add'];

const vite = (version, expected) => ({
  packages: [`vite@${version}`],
  files: { 'index.html': html('./main.js') },
  ways: {
    build: { run: ['vite', 'build', '--base', '/app/', '--target', 'esnext'], out: 'dist' },
    dev: { serve: (port) => ['vite', '--port', port, '--strictPort'], expected },
  },
});

const webpack = {
  packages: ['webpack@5', 'webpack-cli@7'],
  files: { 'webpack.config.cjs': "module.exports = { mode: 'production', entry: './main.js', output: { publicPath: '/app/' } };" },
  ways: { build: { run: ['webpack'], out: 'dist', page: html('main.js') } },
};

/** @type {Record<string, import('../run.mjs').Project>} */
export const BUNDLERS = {
  'vite-7': vite(7, MOVED),
  'vite-8': vite(8),
  // Packages lie behind links, in folders of their own.
  'vite-7-pnpm': { ...vite(7, MOVED), install: PNPM },
  'vite-8-pnpm': { ...vite(8), install: PNPM },
  'webpack-5': webpack,
  esbuild: {
    packages: ['esbuild@0.28'],
    load: copied,
    ways: {
      build: { run: ['esbuild', 'main.js', '--bundle', '--format=esm', '--outdir=dist'], out: 'dist', page: html('main.js'), copy: true },
    },
  },
  rollup: {
    packages: ['rollup@4', '@rollup/plugin-node-resolve@16'],
    load: copied,
    ways: {
      build: {
        run: ['rollup', 'main.js', '--plugin', 'node-resolve={browser:true}', '--dir', 'dist', '--format', 'es'],
        out: 'dist',
        page: html('main.js'),
        copy: true,
      },
    },
  },
  parcel: {
    packages: ['parcel@2'],
    files: { 'index.html': html('./main.js') },
    load: copied,
    ways: {
      build: {
        run: ['parcel', 'build', 'index.html', '--public-url', '/app/', '--dist-dir', 'dist', '--no-source-maps'],
        out: 'dist',
        copy: true,
        headers: { 'content-security-policy': '' }, // its pages hold a script
      },
    },
  },
  // The model is a package too: the bundler copies what it exports.
  'vite-8-model': { ...vite(8), model: true },
  'webpack-5-model': { ...webpack, model: true },
};
