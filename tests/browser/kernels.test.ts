/** Every kernel of our own over WebGPU against the same in plain tensor operations. */

import { expect, test } from 'vitest';
import { excess } from '../dawn/tolerance.mjs';
import { openPage, useSite } from './harness.ts';

/** Operations that must be among those tested. */
const KERNELS = ['linear', 'direct', 'shared', 'thin', 'quantize', 'int8', 'attention', 'norm', 'group norm', 'conv slide', 'conv narrow', 'conv shared', 'select'];

const site = useSite();

/** What pages/engine.js sets. */
declare global {
  var engine: { selfTest(): Promise<Record<string, number>> };
}

test('every kernel gives what plain tensor operations give', async () => {
  const { page, close } = await openPage(site.browser);
  await page.goto(`${site.url}test/engine.html`);
  await page.waitForSelector('body[data-api=ready]', { state: 'attached' });
  const errors = await page.evaluate(() => engine.selfTest());
  for (const kernel of KERNELS) expect(Object.keys(errors).filter((name) => name.startsWith(kernel)), kernel).not.toEqual([]);
  for (const [name, error] of Object.entries(errors)) {
    console.log(`${name}: ${error.toExponential(1)}`);
    expect(excess(name, error), `${name}: ${error}`).toBeLessThanOrEqual(1);
  }
  await close();
});
