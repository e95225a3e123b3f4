import { copyFileSync, cpSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { CONTENT_SECURITY_POLICY } from './scripts/serve.mjs';
import { writeServiceWorker } from './scripts/offline.mjs';
import { compressEngines, sizesOf } from './scripts/sizes.mjs';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Bundles of the repository that lie beside the built page, and where. */
const BESIDE = { 'models/stickers/': here('../models/stickers/base'), 'models/stickers-lt/': here('../models/stickers/lt') };

/** The demo page. It takes the package as its users do, from pkg/dist: `npm run build:pkg` comes first. */
export default defineConfig(({ command }) => ({
  root: fileURLToPath(new URL('app', import.meta.url)),
  publicDir: fileURLToPath(new URL('public', import.meta.url)),
  base: './',
  define: {
    SITE: JSON.stringify(process.env['SITE'] === '1'),
    SIZES: JSON.stringify(sizesOf(here('../pkg/dist'), here('public'), command === 'build' ? BESIDE : {})),
    OFFLINE: JSON.stringify(command === 'build'),
  },
  plugins: [
    {
      name: 'beside-the-page',
      apply: 'build',
      // A host that sets no headers has the policy too, but for what only a header may say.
      transformIndexHtml: () => [
        {
          tag: 'meta',
          attrs: {
            'http-equiv': 'Content-Security-Policy',
            content: CONTENT_SECURITY_POLICY.split('; ')
              .filter((rule) => !rule.startsWith('frame-ancestors'))
              .join('; '),
          },
          injectTo: 'head-prepend',
        },
      ],
      closeBundle: () => {
        for (const [to, from] of Object.entries(BESIDE)) cpSync(from, here(`dist/${to}`), { recursive: true });
        compressEngines(here('dist'));
        copyFileSync(here('../LICENSE'), here('dist/LICENSE.txt'));
        writeServiceWorker(here('dist'), here('sw/service-worker.ts'));
      },
    },
  ],
  resolve: { alias: { 'diffcr-web': fileURLToPath(new URL('../pkg/dist/index.js', import.meta.url)) } },
  build: {
    outDir: fileURLToPath(new URL('dist', import.meta.url)),
    emptyOutDir: true,
    target: 'es2023',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 100,
  },
  server: { fs: { allow: ['..'] } },
}));
