/** `garligate reload`: has the running gateway take over its changed config file. */
import { parseReload, type ReloadReport } from '../control/reload.ts';
import type { Places } from '../io/places.ts';
import { type ControlOptions, connect, understood } from './status.ts';
import { plain, type Terminal } from './terminal.ts';

/** Rules of hundreds of peers take nft some seconds. */
const LONGEST_MS = 60_000;

/** @throws GateError when nothing was changed */
export async function reload(
  options: ControlOptions,
  places: Places,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const client = await connect(options, places, signal);
  try {
    const report = understood(parseReload(await client.request('reload', {}, LONGEST_MS)));
    terminal.print(options.json === true ? JSON.stringify(report) : reloadText(report).join('\n'));
  } finally {
    client.close();
  }
}

function reloadText({ keys, added, removed, regulated }: ReloadReport): readonly string[] {
  const replaced = added.filter((name) => removed.includes(name));
  const lines = [
    ['added', added.filter((name) => !replaced.includes(name))],
    ['removed', removed.filter((name) => !replaced.includes(name))],
    ['replaced', replaced],
    ['other rules for', regulated],
  ] as const;
  const others = keys.filter((key) => key !== 'peer');
  const told = [
    ...lines.flatMap(([what, names]) => (names.length === 0 ? [] : [`${what}: ${names.map(plain).join(', ')}`])),
    ...(others.length === 0 ? [] : [`changed: ${others.join(', ')}`]),
  ];
  return told.length === 0 ? ['nothing has changed'] : told;
}
