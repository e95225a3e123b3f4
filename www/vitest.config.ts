import { defineConfig } from 'vitest/config';

/** Unit tests, in Node: no browser, no wasm. */
export default defineConfig({
  test: { include: ['lib/**/*.test.ts', 'app/**/*.test.ts', 'scripts/**/*.test.ts'], environment: 'node' },
});
