/** What loading a bundle and running one step of it takes, in Chromium: `node memory.mjs NAME BUNDLE [CONCURRENCY]`. */

import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from '../../www/node_modules/playwright-core/index.mjs';
import { serve } from '../../www/scripts/serve.mjs';
import { measure, mib } from '../browser/memory.mjs';

const [name, bundle, concurrency = '4'] = process.argv.slice(2);
const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/google-chrome'].find((path) => existsSync(path));
const flags = ['--no-sandbox', '--enable-unsafe-webgpu', '--enable-features=Vulkan', '--use-webgpu-adapter=swiftshader', '--ignore-gpu-blocklist', '--disable-background-networking'];
const server = await serve({ mounts: { '/test/': at('../browser/pages/'), '/pkg/': at('../../pkg/dist/'), '/bundle/': resolve(bundle) } });
const browser = await chromium.launch({ executablePath, args: flags });
const page = await browser.newPage();
page.on('console', (message) => console.error(`${message.type()}: ${message.text()}`));
page.setDefaultTimeout(1_800_000);
await page.goto(`${server.url}test/api.html`);
await page.waitForSelector('body[data-api=ready]', { state: 'attached' });

const manifest = JSON.parse(readFileSync(`${bundle}/diffcr.json`, 'utf8'));
const { inChannels, captionChannels } = manifest.parts.transformer;
const run = { guidance: 1, latents: { random: [1, inChannels, 16, 16] }, promptEmbeds: { random: [1, 20, captionChannels] } };
const found = await measure(page, `${server.url}bundle/`, { concurrency: Number(concurrency), run });
console.log(JSON.stringify(found, null, 1));
await browser.close();
await server.close();
