import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The built page and package in a real Chromium, with WebGPU on a CPU Vulkan device: minutes, not seconds. */
export default defineConfig({
  root: here('../tests'),
  resolve: {
    alias: { 'playwright-core': here('node_modules/playwright-core/index.mjs'), vitest: here('node_modules/vitest/dist/index.js') },
  },
  server: { fs: { strict: false } },
  test: {
    include: ['browser/*.test.ts', 'consumers/*.test.ts'],
    environment: 'node',
    fileParallelism: false,
    testTimeout: 900_000,
    hookTimeout: 180_000,
    reporters: ['verbose'],
  },
});
