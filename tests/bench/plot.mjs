/** Draws what results.json says of steps here and in onnxruntime-web: `node plot.mjs OUT.svg`. */

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const PANELS = [
  ['small, Chromium', '7.9 M parameters, 2 × 256 tokens: Chromium, SwiftShader'],
  ['xl-block, Chromium', 'a block of PixArt-Σ XL-2, 1,024 tokens: Chromium, SwiftShader'],
  ['small, Dawn', '7.9 M parameters, 2 × 256 tokens: Dawn in Node, lavapipe'],
  ['xl-block, Dawn', 'a block of PixArt-Σ XL-2, 1,024 tokens: Dawn in Node, lavapipe'],
];
const [LEFT, WIDTH, ROW, HEAD] = [170, 330, 20, 34];
const COLOURS = { other: '#9aa0a6', ours: '#2563eb' };

const results = JSON.parse(readFileSync(fileURLToPath(new URL('results.json', import.meta.url)), 'utf8'));
const panels = PANELS.filter(([section]) => results[section]?.onnxruntimeWeb.ms !== undefined).map(([section, title]) => ({ title, bars: bars(results[section]) }));
const most = Math.max(...panels.flatMap(({ bars }) => bars.map(({ speed }) => speed)));

let y = 44;
const drawn = panels.flatMap(({ title, bars }) => {
  y += HEAD;
  const lines = [text(12, y - 10, title, 'font-weight="bold"')];
  for (const { name, ms, speed, colour } of bars) {
    lines.push(text(LEFT - 8, y + 14, name, 'text-anchor="end"'));
    lines.push(`<rect x="${LEFT}" y="${y + 3}" width="${((speed / most) * WIDTH).toFixed(1)}" height="${ROW - 6}" fill="${colour}"/>`);
    lines.push(text(LEFT + (speed / most) * WIDTH + 6, y + 14, `${speed.toFixed(1)} ×  (${(ms / 1000).toFixed(1)} s)`));
    y += ROW;
  }
  return lines;
});
const size = [LEFT + WIDTH + 130, y + 16];
const title = text(12, 26, 'A denoising step: speed over onnxruntime-web on the same WebGPU', 'font-size="15"');
writeFileSync(
  process.argv[2],
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.join(' ')}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>${title}${drawn.join('')}</svg>\n`,
);

/** Speeds over onnxruntime-web. */
function bars({ onnxruntimeWeb, burn, rows }) {
  const bar = (name, ms, colour) => ({ name, ms, speed: onnxruntimeWeb.ms / ms, colour });
  return [
    bar('onnxruntime-web', onnxruntimeWeb.ms, COLOURS.other),
    ...(burn === undefined ? [] : [bar("burn's own kernels", burn.ms, COLOURS.other)]),
    ...rows.map(({ name, ms }) => bar(name === 'dense' ? name : `${name} skipped`, ms, COLOURS.ours)),
  ];
}

function text(x, y, content, rest = '') {
  return `<text x="${x.toFixed?.(1) ?? x}" y="${y}" ${rest}>${content}</text>`;
}
