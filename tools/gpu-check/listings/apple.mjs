/** What the Asahi compiler prints: `AGX_MESA_DEBUG=shaderdb`. It tells no loops. */
import { number } from './loops.mjs';

export function read(log) {
  const line = log.match(/CS shader: .*/g)?.at(-1) ?? '';
  return {
    registers: number(line, /(\d+) gprs/),
    spilled: (number(line, /(\d+):\d+ spills:fills/) ?? 0) + (number(line, /(\d+) scratch/) ?? 0),
    waves: number(line, /(\d+) threads/),
    instructions: number(line, /(\d+) instrs/),
  };
}
