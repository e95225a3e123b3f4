/** What freedreno's ir3 prints: `IR3_SHADER_DEBUG=disasm`. */
export function read(log) {
  const last = (pattern) => {
    const found = [...log.matchAll(pattern)].at(-1);
    return found ? Number(found[1]) : undefined;
  };
  return {
    registers: last(/(\d+) full,/g),
    spilled: (log.match(/\b(stp|ldp)\./g) ?? []).length,
    waves: last(/(\d+) max_waves/g),
    instructions: last(/(\d+) instr,/g),
  };
}
