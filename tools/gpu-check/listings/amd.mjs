/** What RADV's ACO prints: `RADV_DEBUG=shaderstats,asm`. */
import { density, number } from './loops.mjs';

export function read(log) {
  const stat = (name) => number(log, new RegExp(`^${name}: (\\d+)`, 'm'));
  return {
    registers: stat('VGPRs'),
    spilled: (stat('Spilled VGPRs') ?? 0) + (stat('Scratch size') ?? 0),
    waves: stat('Subgroups per SIMD'),
    density: density(blocks(log.slice(log.lastIndexOf('disasm:'))), cost),
  };
}

function blocks(listing) {
  const found = [];
  for (const line of listing.split('\n')) {
    const label = line.match(/^(BB\d+):/);
    if (label) found.push({ name: label[1], to: [], lines: [] });
    const operation = line.match(/^\t(\w+) ?([^;]*)/);
    const block = found.at(-1);
    if (label || !operation || !block) continue;
    const [, name, operands] = operation;
    block.lines.push(name);
    const jump = /^s_(cbranch|branch)/.test(name) && operands.match(/BB\d+/);
    if (jump) block.to.push(jump[0]);
    // What a dual-issue instruction does beside its first half costs nothing more.
    for (const second of line.split('::').slice(1)) block.lines.push(`+${second.trim().split(' ')[0]}`);
  }
  found.forEach((block, i) => {
    const last = block.lines.filter((name) => name !== 's_nop').at(-1) ?? '';
    if (i + 1 < found.length && !/^s_(branch|endpgm)$/.test(last)) block.to.push(found[i + 1].name);
  });
  return found;
}

function cost(line) {
  const second = line.startsWith('+');
  const name = second ? line.slice(1) : line;
  if (!name.startsWith('v_')) return { fma: 0, alu: 0 };
  return { fma: multiplyAdds(name), alu: second ? 0 : 1 };
}

function multiplyAdds(name) {
  if (/^v_dot4/.test(name)) return 4;
  if (/^v_(dual_)?dot2|^v_pk_(fma|mad|fmac)/.test(name)) return 2;
  if (/mad_u|mad_i|lo_u/.test(name)) return 0;
  return /^v_(dual_)?(fma|fmac|mad|mac)/.test(name) ? 1 : 0;
}
