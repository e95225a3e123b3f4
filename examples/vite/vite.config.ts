import { defineConfig } from 'vite';

// `main.ts` waits for the picture at its top level.
export default defineConfig({ build: { target: 'esnext' } });
