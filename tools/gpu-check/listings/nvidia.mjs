/** What NVK's NAK prints: `NAK_DEBUG=print`. */
import { density, number } from './loops.mjs';

export function read(log) {
  const stat = (name) => number(log, new RegExp(`^${name}: (\\d+)`, 'm'));
  return {
    registers: stat('Num GPRs'),
    spilled: (stat('Spills to mem') ?? 0) + (stat('SLM size') ?? 0),
    waves: stat('Max warps/SM'),
    density: density(blocks(log.slice(log.lastIndexOf('NAK IR after calc_instr_deps'))), cost),
  };
}

function blocks(listing) {
  const found = [];
  for (const line of listing.split('\n')) {
    const head = line.match(/^block(?:\.u)? (\d+) /);
    if (head) found.push({ name: head[1], to: [], lines: [] });
    const block = found.at(-1);
    const next = line.match(/^\} -> \[([^\]]*)\]/);
    if (next && block) block.to = next[1].split(', ');
    else if (block && line.includes('delay=')) block.lines.push(line.replace(/^[@!pu0-9\s]*?(?=[a-z])/, '').trim());
  }
  return found;
}

function cost(line) {
  const name = (line.match(/= ([a-z0-9_.]+)/) ?? line.match(/^([a-z0-9_.]+)/))?.[1] ?? '';
  if (/^(ld|st)|^ldc/.test(name)) return { fma: 0, alu: 0 };
  const fma = name.startsWith('ffma') ? 1 : name.startsWith('hfma2') ? 2 : name.startsWith('idp') ? 4 : 0;
  return { fma, alu: 1 };
}
