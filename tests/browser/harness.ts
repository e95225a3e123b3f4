/** What every browser test stands on: a server, a Chromium with or without WebGPU, and a page whose every complaint counts. */

import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect } from 'vitest';
import { serve } from '../../www/scripts/serve.mjs';
import { injectFaults } from './faults.ts';

export const root = fileURLToPath(new URL('../../', import.meta.url));
const dist = `${root}www/dist`;
const screenshots = fileURLToPath(new URL('screenshots/', import.meta.url));
/** The page's default bundle, and the one in f16 that it was trained from. */
export const MODEL = `${dist}/models/scenes-q4`;
export const MODEL_F16 = `${dist}/models/scenes`;

/** The demo at `/`, the package at `/pkg/`, the pages of the tests at `/test/`, damaged bundles at `/faulty/…`, and `mounts`; `headers` as {@link serve} takes them. */
export async function startServer(mounts: Record<string, string> = {}, headers: Record<string, string> = {}): Promise<Awaited<ReturnType<typeof serve>>> {
  for (const needed of [`${dist}/index.html`, `${root}pkg/dist/index.js`, `${MODEL}/diffcr.json`]) {
    if (!existsSync(needed)) throw new Error(`${needed} is missing: build the page first`);
  }
  const faults = injectFaults(MODEL);
  return await serve({
    mounts: { '/': dist, ...FOLDERS, ...mounts },
    headers,
    intercept: async (path, response) => (await listenToGpu(path, response)) || (await faults(path, response)),
  });
}

/**
 * The browser's own word on a broken shader goes to a worker's log, which no page event carries. So workers are served with
 * a line before their own that repeats on the console whatever the GPU complains about.
 */
async function listenToGpu(path: string, response: ServerResponse): Promise<boolean> {
  const folder = Object.entries(FOLDERS).find(([prefix]) => new RegExp(`^${prefix}(worker|canary)[^/]*\\.js$`).test(path));
  if (folder === undefined) return false;
  const script = await readFile(folder[1] + path.slice(folder[0].length), 'utf8');
  response.writeHead(200, { 'content-type': 'text/javascript' }).end(`(${listener.toString()})();${script}`);
  return true;
}

function listener(): void {
  if (!('GPUAdapter' in globalThis)) return;
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (...options) {
    const device = await requestDevice.apply(this, options);
    device.addEventListener('uncapturederror', ({ error }) => console.error(`${error.constructor.name}: ${error.message}`));
    return device;
  };
}

/** The model that the pictures of `tests/fixtures/scenes` were drawn with. */
export const SCENES = fileURLToPath(new URL('../fixtures/scenes/bundle/', import.meta.url));

const FOLDERS = { '/fixtures/scenes/': SCENES, '/pkg/': `${root}pkg/dist/`, '/test/': fileURLToPath(new URL('pages/', import.meta.url)), '/assets/': `${dist}/assets/` };

/** A CPU Vulkan device that comes with Chromium: WebGPU on any machine. */
const WEBGPU = ['--enable-unsafe-webgpu', '--enable-features=Vulkan', '--use-webgpu-adapter=swiftshader', '--ignore-gpu-blocklist'];
const QUIET = ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--no-first-run', '--disable-sync'];

/** `no webgpu`: as on a page over plain http, where the browser hides WebGPU and WebCrypto; see {@link addressFor}. */
export type Gpu = 'webgpu' | 'no adapter' | 'no webgpu';

const FLAGS: Readonly<Record<Gpu, readonly string[]>> = {
  webgpu: WEBGPU,
  'no adapter': ['--disable-gpu', '--use-webgpu-adapter=none'],
  'no webgpu': ['--host-resolver-rules=MAP insecure.test 127.0.0.1'],
};

/** The server's address, under a name that is no secure context where WebGPU is to be missing. */
export function addressFor(gpu: Gpu, url: string): string {
  return gpu === 'no webgpu' ? url.replace('localhost', 'insecure.test') : url;
}

/** `CHROMIUM` names the browser; otherwise the usual places are tried. */
export async function startBrowser(gpu: Gpu = 'webgpu'): Promise<Browser> {
  const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'];
  const executablePath = process.env['CHROMIUM'] ?? places.find((place) => existsSync(place));
  if (executablePath === undefined) throw new Error('no Chromium found: set CHROMIUM to its path');
  return await chromium.launch({ executablePath, args: [...QUIET, ...FLAGS[gpu]] });
}

/** What the tests of a file share, from before the first to after the last. */
export interface Site {
  /** The server's address, ending in `/`. */
  readonly url: string;
  /** A Chromium with WebGPU. */
  readonly browser: Browser;
}

/** Starts a server, as {@link startServer} does, and a browser for the tests of the calling file. */
export function useSite(...served: Parameters<typeof startServer>): Site {
  let server: Awaited<ReturnType<typeof startServer>> | undefined;
  let browser: Browser | undefined;
  beforeAll(async () => {
    server = await startServer(...served);
    browser = await startBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });
  const started = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('nothing is started before the first test');
    return value;
  };
  return {
    get url() {
      return started(server).url;
    },
    get browser() {
      return started(browser);
    },
  };
}

/** A page that remembers every error and warning of its own, of its workers, and of the GPU. */
export interface Watched {
  readonly page: Page;
  readonly complaints: string[];
  /** Fails when there was any complaint that is not expected. */
  close(...expected: RegExp[]): Promise<void>;
}

export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Watched> {
  // What the page keeps for later visits is a test's own subject; elsewhere it would only fetch beside.
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, serviceWorkers: 'block', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(300_000);
  const complaints: string[] = [];
  page.on('console', (message) => {
    // Playwright's own word.
    if (message.text() === 'Service Worker registration blocked by Playwright') return;
    if (['error', 'warning'].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error.stack ?? error.message}`));
  page.on('crash', () => complaints.push('the page crashed'));
  return {
    page,
    complaints,
    close: async (...expected) => {
      await context.close();
      expect(complaints.filter((complaint) => !expected.some((each) => each.test(complaint)))).toEqual([]);
    },
  };
}

export async function screenshot(page: Page, name: string): Promise<void> {
  await mkdir(screenshots, { recursive: true });
  await page.screenshot({ path: `${screenshots}${name}.png`, fullPage: true });
}

/** Opens the demo page over WebGPU, which `auto` leaves alone where it is software, and waits for the model. */
export async function openDemo(page: Page, url: string): Promise<void> {
  await page.goto(`${url}?device=webgpu&draw=no`);
  await modelIs(page, 'ready');
  expect(await page.textContent('#backend')).toBe('WebGPU');
}

/** Waits until the demo page shows its model in one of the states. */
export async function modelIs(page: Page, kind: 'ready' | 'idle' | 'loading'): Promise<void> {
  await page.waitForSelector(`body[data-model=${kind}]`);
}

/** Waits until the page shows a finished picture; a failure shown instead is the test's failure. */
export async function pictureIsDone(page: Page): Promise<void> {
  await page.waitForSelector('body[data-run=done], #fault:not([hidden])');
  expect(await page.textContent('#fault-code')).toBe('');
}

/** Fills the form and asks for a picture. */
export async function askFor(page: Page, form: { prompt: string; seed: number; steps: number; guidance: number }): Promise<void> {
  await page.fill('#prompt', form.prompt);
  await page.fill('#seed', String(form.seed));
  await page.fill('#steps', String(form.steps));
  await page.fill('#guidance', String(form.guidance));
  await page.click('#generate');
}

/** The bytes of the picture on the page, RGBA. */
export async function pixels(page: Page): Promise<{ width: number; height: number; data: number[] }> {
  return await page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>('#picture');
    if (canvas === null) throw new Error('the page has no picture');
    const { width, height } = canvas;
    const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    copy?.drawImage(canvas, 0, 0);
    return { width, height, data: [...(copy?.getImageData(0, 0, width, height).data ?? [])] };
  });
}
