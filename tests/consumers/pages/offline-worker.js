/** Keeps the page and, of the package, the client, the worker and an engine. `?lib=` is the address of the client. */
const lib = new URL(new URLSearchParams(location.search).get('lib'), location.href);
const OURS = ['offline.html', 'offline.js', 'draw.js'].map((name) => new URL(name, location.href).href);
const THEIRS = ['index.js', 'worker.js', 'diffcr_cpu.js', 'diffcr_cpu_bg.wasm'].map((name) => new URL(name, lib).href);

addEventListener('install', (event) => event.waitUntil(caches.open('page').then((cache) => cache.addAll([...OURS, ...THEIRS]))));
addEventListener('fetch', (event) => {
  event.respondWith(
    caches.match(event.request, { ignoreSearch: event.request.mode === 'navigate' }).then((kept) => kept ?? fetch(event.request)),
  );
});
