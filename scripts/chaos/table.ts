/** One row of the fault lab's table as text. */
import type { Held } from './observe.ts';
import { KINDS, type Outage } from './traffic.ts';

/** What is told of one gateway. */
export interface Side {
  readonly name: string;
  readonly before: Held | undefined;
  readonly after: Held | undefined;
  readonly warned: readonly string[];
}

const COLUMNS = ['what happened', ...KINDS, 'bare SAM', 'connections', 'the log warns of', 'descriptors', 'memory, MB'];

export const HEAD = `${row(COLUMNS)}\n${row(COLUMNS.map(() => '---'))}`;

export function describe(what: string, outage: Outage, sides: readonly Side[]): string {
  const away = KINDS.map((kind) => seconds(outage.away[kind]));
  const warned = sides
    .filter(({ warned: codes }) => codes.length > 0)
    .map(({ name, warned: codes }) => `${name}: ${codes.join(', ')}`);
  const change = (of: (held: Held) => number) =>
    sides
      .map(({ before, after }) => [before, after].map((held) => (held === undefined ? '-' : of(held))).join(' → '))
      .join('; ');
  return row([
    what,
    ...away,
    seconds(outage.away.bare),
    fateOf(outage),
    warned.length === 0 ? 'nothing' : warned.join('; '),
    change(({ descriptors }) => descriptors),
    change(({ megabytes }) => megabytes),
  ]);
}

export function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

export function seconds(ms: number | undefined): string {
  return ms === undefined ? 'not back' : `${(ms / 1_000).toFixed(1)} s`;
}

function fateOf({ broken }: Outage): string {
  if (broken.length === 0) return 'the same, no byte lost';
  return broken
    .map(({ stream, why, lost }) => `${stream}: ${why}${lost > 0 ? `, ${lost} bytes were under way` : ''}`)
    .join('; ');
}
