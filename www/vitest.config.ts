import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** Unit tests, in Node: no browser, no wasm. */
export default defineConfig({
  resolve: { alias: { 'diffcr-web': fileURLToPath(new URL('lib/index.ts', import.meta.url)) } },
  test: { include: ['lib/**/*.test.ts', 'app/**/*.test.ts', 'scripts/**/*.test.ts'], environment: 'node' },
});
