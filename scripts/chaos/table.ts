/** One row of the fault lab's table as text. */
import type { Held } from './observe.ts';
import { KINDS, type Outage } from './traffic.ts';
import { type Broken, changed, type Holding, isGood, type Judgement, seconds, type Times } from './verdict.ts';

/** What is told of one gateway. */
export interface Side extends Holding<Held> {
  readonly name: string;
  readonly warned: readonly string[];
}

const NAMES = { ping: 'ping', tcp: 'TCP', udp: 'UDP', download: 'download', socks: 'SOCKS' } as const;
const COLUMNS = [
  'what happened',
  ...KINDS.map((kind) => `${NAMES[kind]} away`),
  'bare SAM away',
  'connections',
  'bytes lost',
  'pings, datagrams lost',
  'the log warns of',
  'descriptors',
  'memory, MB',
  'verdict',
];

export const HEAD = head(COLUMNS);

/** Of the table that tells what repeated faults came to. */
export const MEDIANS_HEAD = head(['medians', 'times', ...KINDS.map((kind) => NAMES[kind]), 'bare SAM', 'verdict']);

export function describeMedians(what: string, count: number, { away, bareAway }: Times, judgement: Judgement): string {
  return row([what, `${count}`, ...KINDS.map((kind) => seconds(away[kind])), seconds(bareAway), verdict(judgement)]);
}

export function describe(
  what: string,
  { away, bareAway, broken, lost }: Outage,
  sides: readonly Side[],
  judgement: Judgement,
): string {
  const warned = sides.filter(({ warned: codes }) => codes.length > 0);
  const change = (of: (held: Held) => number) =>
    sides.map(({ before, after }) => changed(before && of(before), after && of(after))).join('; ');
  return row([
    what,
    ...KINDS.map((kind) => seconds(away[kind])),
    seconds(bareAway),
    connectionsOf(broken),
    lostOn(broken),
    `${lost.ping}, ${lost.udp}`,
    warned.length === 0
      ? 'nothing'
      : warned.map(({ name, warned: codes }) => `${name}: ${codes.join(', ')}`).join('; '),
    change(({ descriptors }) => descriptors),
    change(({ megabytes }) => megabytes),
    verdict(judgement),
  ]);
}

export function connectionsOf(broken: readonly Broken[]): string {
  const times = new Map<string, number>();
  for (const { stream, why } of broken) {
    const end = `${NAMES[stream]}: ${why}`;
    times.set(end, (times.get(end) ?? 0) + 1);
  }
  if (times.size === 0) return 'the same ones';
  return [...times].map(([end, count]) => (count === 1 ? end : `${end}, ${count} times`)).join('; ');
}

/** Bytes that were handed over to connections that broke; on the others none is missing. */
export function lostOn(broken: readonly Broken[]): string {
  return `${broken.reduce((sum, { lost }) => sum + lost, 0)}`;
}

export function head(columns: readonly string[]): string {
  return `${row(columns)}\n${row(columns.map(() => '---'))}`;
}

export function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

export function verdict(judgement: Judgement): string {
  if (isGood(judgement)) return 'good';
  const { failures, late } = judgement;
  return [
    ...(failures.length > 0 ? [`**FAILED**: ${failures.join('; ')}`] : []),
    ...(late.length > 0 ? [`**MISSED** the goal for the time: ${late.join('; ')}`] : []),
  ].join('; ');
}
