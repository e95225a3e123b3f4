#!/usr/bin/env node
/** The process of `npx diffcr-web`. */

import { main } from './node-cli.ts';
import { useNode } from './node-platform.ts';

useNode();

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
const clear = process.stderr.isTTY ? '\r\x1b[K' : '';
process.exitCode = await main(process.argv.slice(2), {
  write: (text) => process.stdout.write(clear === '' ? text : `${clear}${text}`),
  complain: (text) => process.stderr.write(`${clear}${text}`),
  ...(clear === '' ? {} : { progress: (text: string) => process.stderr.write(`${clear}${text}`) }),
  signal: stop.signal,
});
