/**
 * Keeps the page: after one visit it opens and draws without a network. Weights are kept by the package itself; here are the page's own files and
 * the engine that it ran. A newer version is fetched beside the one that is used, and waits until the reader takes it.
 */

/** Put in by the build: the page's files but its engines, and those by backend, as paths beside this script. */
declare const FILES: readonly string[];
declare const ENGINES: Readonly<Record<string, readonly string[]>>;
/** Changes with any of them. */
declare const VERSION: string;

const worker = self as unknown as ServiceWorkerGlobalScope;
const PREFIX = 'diffcr-page-';
const CACHE = PREFIX + VERSION;

const address = (path: string): string => new URL(path, worker.registration.scope).href;

worker.addEventListener('install', (event) => {
  event.waitUntil(keep(FILES));
});

worker.addEventListener('activate', (event) => {
  event.waitUntil(forgetOthers().then(() => worker.clients.claim()));
});

worker.addEventListener('message', (event) => {
  const { type, backend } = (event.data ?? {}) as { readonly type?: unknown; readonly backend?: unknown };
  if (type === 'take-over') event.waitUntil(worker.skipWaiting());
  if (type === 'keep-engine' && typeof backend === 'string') event.waitUntil(keep(ENGINES[backend] ?? []));
});

worker.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  const isPage = request.mode === 'navigate' && [address('.'), address('index.html')].includes(url.origin + url.pathname);
  const isOurs = isPage || [...FILES, ...Object.values(ENGINES).flat()].some((path) => address(path) === url.href);
  if (request.method === 'GET' && isOurs) event.respondWith(answer(request, isPage));
});

/** What is kept of this version, else the network's. */
async function answer(request: Request, isPage: boolean): Promise<Response> {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(isPage ? address('index.html') : request.url, { ignoreVary: true });
  return kept ?? (await fetch(request));
}

/** Files that are there already are those of this version: their names change with what is in them. */
async function keep(paths: readonly string[]): Promise<void> {
  const cache = await caches.open(CACHE);
  for (const path of paths) {
    if ((await cache.match(address(path), { ignoreVary: true })) !== undefined) continue;
    const response = await fetch(address(path), { cache: 'no-cache' });
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    await cache.put(address(path), response);
  }
}

async function forgetOthers(): Promise<void> {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name)));
}
