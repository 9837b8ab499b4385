/** Bars as an SVG picture, readable on light and on dark ground. */

export interface Chart {
  readonly title: string;
  readonly bars: readonly Bar[];
}

export interface Bar {
  readonly name: string;
  readonly value: number;
  /** The least and the most that was measured: drawn as a line through the end of the bar. */
  readonly low: number;
  readonly high: number;
}

const WIDTH = 760;
const LABELS = 130;
const FIGURES = 70;
const BAR = 16;
const GAP = 6;
const TITLE = 34;

/** @param caption below all of them */
export function barChart(caption: string, charts: readonly Chart[]): string {
  let y = 0;
  const parts: string[] = [];
  for (const { title, bars } of charts) {
    y += TITLE;
    parts.push(`<text x="0" y="${y - 10}" class="title">${escapeText(title)}</text>`);
    const most = Math.max(...bars.map(({ high }) => high), Number.MIN_VALUE);
    const scale = (value: number) => ((WIDTH - LABELS - FIGURES) * value) / most;
    for (const bar of bars) {
      parts.push(...drawBar(bar, y, scale));
      y += BAR + GAP;
    }
  }
  y += TITLE;
  parts.push(`<text x="0" y="${y - 12}" class="caption">${escapeText(caption)}</text>`);
  const style =
    'text{font:13px sans-serif;fill:#888}.title{font-weight:bold}.caption{font-size:11px}' +
    'rect{fill:#7aa2c8}rect.own{fill:#d98c3f}line{stroke:#555;stroke-width:1.5}';
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}">`;
  return `${open}\n<style>${style}</style>\n${parts.join('\n')}\n</svg>\n`;
}

function drawBar({ name, value, low, high }: Bar, y: number, scale: (value: number) => number): string[] {
  const middle = y + BAR / 2;
  const own = name === 'garligate' ? ' class="own"' : '';
  const figure = value >= 100 ? value.toFixed(0) : value.toFixed(2);
  return [
    `<text x="0" y="${y + BAR - 3}">${escapeText(name)}</text>`,
    `<rect x="${LABELS}" y="${y}" width="${scale(value).toFixed(1)}" height="${BAR}"${own}/>`,
    `<line x1="${(LABELS + scale(low)).toFixed(1)}" x2="${(LABELS + scale(high)).toFixed(1)}" y1="${middle}" y2="${middle}"/>`,
    `<text x="${(LABELS + scale(high) + 8).toFixed(1)}" y="${y + BAR - 3}">${figure}</text>`,
  ];
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
