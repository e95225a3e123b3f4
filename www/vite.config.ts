import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** The demo page. It takes the package as its users do, from pkg/dist: `npm run build:pkg` comes first. */
export default defineConfig({
  root: fileURLToPath(new URL('app', import.meta.url)),
  publicDir: fileURLToPath(new URL('public', import.meta.url)),
  base: './',
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
});
