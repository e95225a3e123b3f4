/** Dawn for Node, Chrome's WebGPU engine, for tests that need what SwiftShader cannot show. */

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Where Dawn for Node is; where it cannot be, the reason is printed. */
export function findDawn(): string | undefined {
  try {
    return execFileSync('bash', [fileURLToPath(new URL('../../scripts/dawn.sh', import.meta.url))], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
  } catch (error) {
    console.log(`skipped: ${String((error as { stdout?: string }).stdout).trim()}`);
    return undefined;
  }
}
