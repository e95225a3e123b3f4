/** A Chromium with WebGPU on its CPU device, and a server for it. */

import { existsSync } from 'node:fs';
import { chromium } from '../../www/node_modules/playwright-core/index.mjs';
import { serve } from '../../www/scripts/serve.mjs';

export const FLAGS = ['--no-sandbox', '--enable-unsafe-webgpu', '--enable-features=Vulkan', '--use-webgpu-adapter=swiftshader', '--ignore-gpu-blocklist', '--disable-background-networking'];

/** `CHROMIUM` names the browser; otherwise the usual places are tried. */
export const LAUNCH = {
  executablePath: process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/google-chrome'].find((path) => existsSync(path)),
  args: FLAGS,
};

/** Serves `mounts` and opens a page that says its errors here. */
export async function startChromium(mounts) {
  const server = await serve({ mounts });
  const browser = await chromium.launch(LAUNCH);
  const newPage = async () => {
    const page = await browser.newPage();
    page.setDefaultTimeout(1_800_000);
    page.on('console', (message) => message.type() === 'error' && console.error(message.text()));
    page.on('pageerror', (error) => console.error(error));
    return page;
  };
  const close = async () => {
    await browser.close();
    await server.close();
  };
  return { page: await newPage(), newPage, url: server.url, version: browser.version(), close };
}

export { chromium };
