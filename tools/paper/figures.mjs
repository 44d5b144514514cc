// Two SVGs by hand: forget score against utility for each method, and what returns under audits.
const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const at = (value) => value.toFixed(1);

// Okabe and Ito's colours: told apart with any colour vision; the shape says it a second time.
const series = [
  ['#0072b2', 'circle'],
  ['#d55e00', 'square'],
  ['#009e73', 'diamond'],
  ['#cc79a7', 'up'],
  ['#e69f00', 'down'],
  ['#000000', 'star'],
  ['#56b4e9', 'cross'],
];
const shapes = {
  circle: (x, y) => `<circle cx="${at(x)}" cy="${at(y)}" r="4.5"/>`,
  square: (x, y) => `<rect x="${at(x - 4)}" y="${at(y - 4)}" width="8" height="8"/>`,
  diamond: (x, y) => `<path d="M${at(x)} ${at(y - 6)}l6 6l-6 6l-6-6z"/>`,
  up: (x, y) => `<path d="M${at(x)} ${at(y - 5.5)}l5.5 10h-11z"/>`,
  down: (x, y) => `<path d="M${at(x)} ${at(y + 5.5)}l5.5-10h-11z"/>`,
  star: (x, y) => `<path d="M${at(x)} ${at(y - 7)}l2 5h5l-4 3.2l1.6 5.2l-4.6-3.2l-4.6 3.2l1.6-5.2l-4-3.2h5z"/>`,
  cross: (x, y) => `<path d="M${at(x - 5)} ${at(y - 2)}h3v-3h4v3h3v4h-3v3h-4v-3h-3z"/>`,
};

const text = (x, y, words, more = '') => `<text x="${at(x)}" y="${at(y)}" ${more}>${escaped(words)}</text>`;

function page(width, height, title, parts) {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}" font-family="system-ui, sans-serif" font-size="12" fill="#222">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

/** A panel for each method, a mark for each way to train, bars of one standard deviation. Null where no row has figures. */
export function scatter({ rows, order }) {
  const shown = rows.filter(({ figures }) => figures.forget !== null && figures.utility !== null);
  if (shown.length === 0) return null;
  const [size, gap, left, top] = [270, 46, 52, 48];
  const low = Math.min(0.9, Math.floor(Math.min(...shown.map(({ figures }) => figures.utility.mean - (figures.utility.sd ?? 0))) * 10) / 10);
  const kinds = order.trained.filter((trained) => shown.some(({ labels }) => labels.trained === trained));
  const panels = order.method.map((method, i) => {
    const [x0, y0] = [left + (i % 2) * (size + gap + 20), top + Math.floor(i / 2) * (size + gap + 26)];
    const [x, y] = [(value) => x0 + value * size, (value) => y0 + size - ((value - low) / (1 - low)) * size];
    const ticks = [0, 0.25, 0.5, 0.75, 1];
    const own = shown.filter(({ labels }) => labels.method === method);
    return [
      `<g><rect x="${x0}" y="${y0}" width="${size}" height="${size}" fill="none" stroke="#999"/>`,
      text(x0, y0 - 8, method, 'font-weight="600"'),
      ...ticks.map((value) => text(x(value), y0 + size + 15, String(value), 'text-anchor="middle" fill="#555"')),
      ...[low, (low + 1) / 2, 1].map((value) => text(x0 - 6, y(value) + 4, value.toFixed(2), 'text-anchor="end" fill="#555"')),
      `<path d="M${at(x(0.25))} ${y0}v${size}" stroke="#999" stroke-dasharray="3 3"/>`,
      text(x(0.25) + 4, y0 + size - 6, 'chance', 'fill="#777" font-size="10"'),
      text(x0 + size / 2, y0 + size + 31, 'FE (lower is better)', 'text-anchor="middle"'),
      ...own.flatMap(({ labels, figures: { forget, utility } }) => {
        const [colour, shape] = series[order.trained.indexOf(labels.trained) % series.length];
        const across = `M${at(x(forget.mean - (forget.sd ?? 0)))} ${at(y(utility.mean))}H${at(x(forget.mean + (forget.sd ?? 0)))}`;
        const along = `M${at(x(forget.mean))} ${at(y(Math.max(low, utility.mean - (utility.sd ?? 0))))}V${at(y(Math.min(1, utility.mean + (utility.sd ?? 0))))}`;
        return [
          `<path d="${across}${along}" stroke="${colour}" fill="none"/>`,
          `<g fill="${colour}" fill-opacity="0.85">${shapes[shape](x(forget.mean), y(utility.mean))}</g>`,
        ];
      }),
      '</g>',
    ].join('\n');
  });
  const width = left + 2 * size + gap + 40;
  const height = top + 2 * size + gap + 120;
  const legend = kinds.map((trained, i) => {
    const [colour, shape] = series[order.trained.indexOf(trained) % series.length];
    const [x, y] = [left + (i % 4) * 150, height - 34 + Math.floor(i / 4) * 20];
    return `<g fill="${colour}">${shapes[shape](x, y)}</g>${text(x + 10, y + 4, trained)}`;
  });
  const title = 'Forget score against utility (UT, upwards) for each method, by what it trains: mean of the seeds, ± one standard deviation';
  return page(width, height, title, [text(left, 20, 'UT (upwards) against FE, mean of the seeds ± one standard deviation'), ...panels, ...legend]);
}

const bars = [
  ['asIs', 'as it is', '#999999'],
  ['forbidden', 'expert forbidden', '#d55e00'],
  ['quantise-4', '4 bit', '#56b4e9'],
  ['relearn', 'relearned, what was trained', '#009e73'],
  ['relearn-full', 'relearned, all parameters', '#0072b2'],
];
const legendAt = [16, 100, 230, 310, 500];

/** Bars of the forget score under each audit. `rows`: `[{ name, returns: { asIs, forbidden, ... } }]` with spreads or null. Null without rows. */
export function returning(rows) {
  if (rows.length === 0) return null;
  const [left, width, top, bar] = [250, 460, 66, 9];
  const pitch = bars.length * bar + 14;
  const x = (value) => left + value * width;
  const height = top + rows.length * pitch + 34;
  const parts = [
    text(16, 20, 'Forget questions answered right, as the edited model is and under audits (lower: it does not come back)'),
    ...bars.map(
      ([, words, colour], i) =>
        `<rect x="${legendAt[i]}" y="32" width="10" height="10" fill="${colour}"/>${text(legendAt[i] + 14, 41, words, 'font-size="10.5"')}`,
    ),
    ...[0, 0.25, 0.5, 0.75, 1].map(
      (value) =>
        `<path d="M${at(x(value))} ${top - 6}V${height - 28}" stroke="#ddd"/>${text(x(value), height - 12, String(value), 'text-anchor="middle" fill="#555"')}`,
    ),
    ...rows.flatMap(({ name, returns }, i) => [
      text(left - 10, top + i * pitch + (bars.length * bar) / 2 + 4, name, 'text-anchor="end"'),
      ...bars.flatMap(([id, , colour], k) => {
        const value = returns[id];
        if (value === null || value === undefined) return [];
        const y = top + i * pitch + k * bar;
        const spread =
          value.sd === null ? [] : [`<path d="M${at(x(value.mean - value.sd))} ${at(y + bar / 2 - 0.5)}H${at(x(value.mean + value.sd))}" stroke="#222"/>`];
        return [`<rect x="${left}" y="${y}" width="${at(value.mean * width)}" height="${bar - 1}" fill="${colour}"/>`, ...spread];
      }),
    ]),
  ];
  return page(left + width + 50, height, 'What returns under audits', parts);
}
