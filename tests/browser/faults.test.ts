import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { addressFor, askFor, modelIs, openPage, pictureIsDone, screenshot, startBrowser, startServer, type Gpu } from './harness.ts';

let server: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  server = await startServer();
});
afterAll(async () => await server?.close());

/** The browser's own line about a failed request is no fault of the page. */
const LOADING = /Failed to load resource/;

async function withBrowser(gpu: Gpu, work: (browser: Browser) => Promise<void>): Promise<void> {
  const browser = await startBrowser(gpu);
  try {
    await work(browser);
  } finally {
    await browser.close();
  }
}

test('each damage to a bundle is told by its code, and nothing panics', async () => {
  await withBrowser('webgpu', async (browser) => {
    const told: Record<string, string | null> = {};
    for (const fault of ['missing', 'truncated', 'altered', 'html', 'cut', 'version', 'not-json', 'no-manifest']) {
      const { page, close } = await openPage(browser);
      await page.goto(`${server.url}?device=cpu&model=faulty/${fault}/`);
      await page.waitForSelector('#fault:not([hidden]), body[data-model=ready]');
      told[fault] = await page.textContent('#fault-code');
      expect(await page.textContent('#fault-advice')).not.toBe('');
      expect(await page.textContent('#fault-message')).toMatch(/\w/);
      await modelIs(page, 'idle');
      expect(page.workers()).toHaveLength(0);
      if (fault === 'altered') await screenshot(page, 'fault-altered');
      await close(LOADING);
    }
    expect(told).toEqual({
      missing: 'NETWORK',
      truncated: 'INTEGRITY',
      altered: 'INTEGRITY',
      html: 'NETWORK',
      cut: 'NETWORK',
      version: 'MANIFEST_VERSION',
      'not-json': 'MANIFEST_INVALID',
      'no-manifest': 'NETWORK',
    });
  });
});

test('a bundle that fails once and is right the second time loads', async () => {
  await withBrowser('webgpu', async (browser) => {
    const { page, close } = await openPage(browser);
    await page.goto(`${server.url}?device=cpu&model=faulty/flaky/`);
    await modelIs(page, 'ready');
    await close(LOADING);
  });
});

test.each([['no webgpu', 'WEBGPU_UNAVAILABLE'], ['no adapter', 'NO_ADAPTER']] as const)('%s: asked for, it is %s; else the CPU draws', async (gpu, code) => {
  await withBrowser(gpu, async (browser) => {
    const address = addressFor(gpu, server.url);
    const asked = await openPage(browser);
    await asked.page.goto(`${address}?device=webgpu&draw=no`);
    await asked.page.waitForSelector('#fault:not([hidden])');
    expect(await asked.page.textContent('#fault-code')).toBe(code);
    await screenshot(asked.page, `fault-${code.toLowerCase()}`);
    await asked.page.click('#fault-cpu');
    await modelIs(asked.page, 'ready');
    await asked.close(/No available adapters/);

    const auto = await openPage(browser);
    await auto.page.goto(`${address}?draw=no`);
    await modelIs(auto.page, 'ready');
    expect(await auto.page.textContent('#backend')).toBe('CPU');
    expect(await auto.page.textContent('#note')).toMatch(/WebGPU.*CPU/);
    await askFor(auto.page, { prompt: 'a red circle on a white background', seed: 1, steps: 2, guidance: 3 });
    await pictureIsDone(auto.page);
    // Over plain http there is no storage either, and nothing to remove.
    expect(await auto.page.isHidden('#remove')).toBe(gpu === 'no webgpu');
    await auto.close(/No available adapters/);
  });
});

test('an address that asks for an unknown device is refused', async () => {
  await withBrowser('webgpu', async (browser) => {
    const { page, close } = await openPage(browser);
    await page.goto(`${server.url}?device=tpu`);
    await page.waitForSelector('#fault:not([hidden])');
    expect(await page.textContent('#fault-code')).toBe('INVALID_INPUT');
    await close();
  });
});
