/** The learned table as a table: what share of the tokens each layer runs, by how noisy the picture still is. */

import type { RoutingPreset } from 'diffcr-web';

/** Fills `table` with a row for each region of the timesteps, the noisiest first, and a column for each layer. */
export function fillRatios(table: HTMLTableElement, { keep }: RoutingPreset): void {
  const layers = keep[0]?.length ?? 0;
  const caption = Object.assign(document.createElement('caption'), {
    textContent: 'Percent of the tokens that each layer runs, from noise (first row) to picture (last row)',
  });
  const head = document.createElement('thead');
  head.append(rowOf(headOf('Steps', 'col'), ...Array.from({ length: layers }, (_, i) => headOf(String(i + 1), 'col', `Layer ${i + 1}`))));
  const body = document.createElement('tbody');
  for (const [row, ratios] of [...keep].reverse().entries()) {
    const [from, to] = [row, row + 1].map((edge) => Math.round((100 * edge) / keep.length));
    body.append(rowOf(headOf(`${from}–${to} %`, 'row'), ...ratios.map(cellOf)));
  }
  table.replaceChildren(caption, head, body);
}

function rowOf(...cells: HTMLElement[]): HTMLTableRowElement {
  const row = document.createElement('tr');
  row.append(...cells);
  return row;
}

function headOf(text: string, scope: 'col' | 'row', label?: string): HTMLTableCellElement {
  const cell = Object.assign(document.createElement('th'), { textContent: text, scope });
  if (label !== undefined) cell.setAttribute('aria-label', label);
  return cell;
}

/** The more tokens, the lighter; the ink is the one of the two that stands out. */
function cellOf(ratio: number): HTMLTableCellElement {
  const cell = Object.assign(document.createElement('td'), { textContent: String(Math.round(100 * ratio)) });
  cell.style.background = `hsl(226 55% ${Math.round(22 + 70 * ratio)}%)`;
  cell.style.color = ratio > 0.55 ? '#101020' : '#fff';
  return cell;
}
