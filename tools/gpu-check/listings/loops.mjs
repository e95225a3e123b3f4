/** Natural loops of a listing, and the one that matters. */

/**
 * The lines of each loop of `blocks` (`{ name, to, lines }`): what reaches a jump back without passing where that goes.
 * @returns {string[][]}
 */
export function loops(blocks) {
  const at = new Map(blocks.map((block, i) => [block.name, i]));
  const next = blocks.map((block) => block.to.map((name) => at.get(name)).filter((i) => i !== undefined));
  const before = blocks.map(() => []);
  next.forEach((list, i) => list.forEach((j) => before[j].push(i)));
  const bodies = new Map();
  next.forEach((list, i) => {
    for (const head of list.filter((j) => j <= i)) {
      const body = bodies.get(head) ?? new Set([head]);
      for (const todo = [i]; todo.length > 0; ) {
        const block = todo.pop();
        if (!body.has(block)) {
          body.add(block);
          todo.push(...before[block]);
        }
      }
      bodies.set(head, body);
    }
  });
  return [...bodies.values()].map((body) => [...body].sort((a, b) => a - b).flatMap((i) => blocks[i].lines));
}

/**
 * Multiply-adds an ALU instruction in the smallest loop that has half of any loop's multiply-adds; undefined without any. `costOf` says
 * of a line how many `{ fma, alu }` it is.
 */
export function density(blocks, costOf) {
  const sum = (lines) => lines.map(costOf).reduce((a, b) => ({ fma: a.fma + b.fma, alu: a.alu + b.alu }), { fma: 0, alu: 0 });
  const totals = loops(blocks).map(sum);
  const most = Math.max(0, ...totals.map((total) => total.fma));
  if (most === 0) return undefined;
  const [hot] = totals.filter((total) => 2 * total.fma >= most).sort((a, b) => a.alu - b.alu);
  return hot.fma / Math.max(1, hot.alu);
}

/** The number in front of `name` in `text`, or after it. */
export function number(text, pattern) {
  const found = text.match(pattern);
  return found ? Number(found[1]) : undefined;
}
