/** Figures over time as an SVG picture, readable on light and on dark ground. */
import type { Sample } from './slope.ts';

export interface Curve {
  readonly title: string;
  readonly samples: readonly Sample[];
}

const WIDTH = 760;
const HEIGHT = 120;
const LEFT = 60;
const TITLE = 34;
const MINUTE_S = 60;

/** @param faults when something went wrong, in seconds */
export function drawCurves(caption: string, curves: readonly Curve[], faults: readonly number[]): string {
  const longest = Math.max(1, ...curves.flatMap(({ samples }) => samples.map(({ seconds }) => seconds)));
  const x = (seconds: number) => (LEFT + ((WIDTH - LEFT) * seconds) / longest).toFixed(1);
  let y = 0;
  const parts: string[] = [];
  for (const { title, samples } of curves) {
    y += TITLE;
    const top = y;
    const most = Math.max(1, ...samples.map(({ value }) => value));
    const at = (value: number) => (top + HEIGHT * (1 - value / most)).toFixed(1);
    parts.push(`<text x="0" y="${top - 10}" class="title">${title}</text>`);
    for (const seconds of faults) {
      parts.push(`<line x1="${x(seconds)}" x2="${x(seconds)}" y1="${top}" y2="${top + HEIGHT}" class="fault"/>`);
    }
    parts.push(`<text x="0" y="${top + 12}">${most.toFixed(0)}</text><text x="0" y="${top + HEIGHT}">0</text>`);
    parts.push(`<polyline points="${samples.map(({ seconds, value }) => `${x(seconds)},${at(value)}`).join(' ')}"/>`);
    y += HEIGHT;
  }
  y += TITLE;
  parts.push(`<text x="0" y="${y - 12}" class="caption">${caption}</text>`);
  parts.push(`<text x="${WIDTH}" y="${y - 12}" text-anchor="end">${(longest / MINUTE_S).toFixed(0)} min</text>`);
  const style =
    'text{font:13px sans-serif;fill:#888}.title{font-weight:bold}.caption{font-size:11px}' +
    'polyline{fill:none;stroke:#d98c3f;stroke-width:1.2}.fault{stroke:#7aa2c8;stroke-width:.6;opacity:.6}';
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}">`;
  return `${open}\n<style>${style}</style>\n${parts.join('\n')}\n</svg>\n`;
}
