/** Projects of frameworks, whose servers import the package too: built and served by themselves, and in the dev server. Next's draws as well. */

const next = (version, builds) => ({
  packages: [`next@${version}`, 'react@19', 'react-dom@19'],
  server: true,
  files: {
    // What runs in a worker thread is not to be bundled.
    'next.config.mjs': "export default { serverExternalPackages: ['diffcr-web'] };",
    'app/layout.js': 'export default ({ children }) => <html lang="en"><body>{children}</body></html>;',
    'app/picture/route.js': `
      import { loadModel } from 'diffcr-web';
      import { draw } from '../../draw.js';
      export const dynamic = 'force-dynamic';
      export const GET = async () => Response.json(await draw({ loadModel }, './public/model/'));`,
    'app/page.js': "'use client';\nimport '../main.js';\nexport default () => <p>A picture</p>;",
  },
  ways: Object.fromEntries(
    Object.entries(builds).flatMap(([name, flags]) => [
      [name, { run: ['next', 'build', ...flags], serve: (port) => ['next', 'start', '-p', port] }],
      [`${name} dev`, { serve: (port) => ['next', 'dev', '-p', port, ...flags] }],
    ]),
  ),
});

/** @type {Record<string, import('../run.mjs').Project>} */
export const FRAMEWORKS = {
  'next-15': next(15, { webpack: [], turbopack: ['--turbopack'] }),
  'next-16': next(16, { webpack: ['--webpack'], turbopack: [] }),
  sveltekit: {
    packages: [
      '@sveltejs/kit@3',
      '@sveltejs/adapter-static@4',
      '@sveltejs/vite-plugin-svelte@7',
      'svelte@5',
      'vite@8',
      'typescript@6',
      'node@22',
    ],
    assets: 'static/model',
    files: {
      'vite.config.js':
        "import adapter from '@sveltejs/adapter-static';\nimport { sveltekit } from '@sveltejs/kit/vite';\nexport default { plugins: [sveltekit({ adapter: adapter() })] };",
      'src/app.html': '<!doctype html>%sveltekit.head%<div>%sveltekit.body%</div>',
      'src/routes/+layout.js': 'export const prerender = true;',
      'src/routes/+page.svelte': "<script>import '../../main.js';</script>\n<p>A picture</p>",
    },
    ways: {
      build: { run: ['vite', 'build'], serve: (port) => ['vite', 'preview', '--port', port, '--strictPort'] },
      dev: { serve: (port) => ['vite', '--port', port, '--strictPort'] },
    },
  },
  astro: {
    packages: ['astro@7', 'node@22'],
    files: { 'src/pages/index.astro': '<p>A picture</p>\n<script>import "../../main.js";</script>' },
    ways: {
      build: { run: ['astro', 'build'], serve: (port) => ['astro', 'preview', '--port', port] },
      dev: { serve: (port) => ['astro', 'dev', '--port', port] },
    },
  },
};
