/** `garligate reload`: has the running gateway take over its changed config file. */
import { parseReload, type ReloadReport } from '../control/reload.ts';
import type { Paths } from '../io/paths.ts';
import { type ControlOptions, printAnswer } from './status.ts';
import type { Terminal } from './terminal.ts';

/** Rules of hundreds of peers take nft some seconds. */
const LONGEST_MS = 60_000;

/** @throws GateError when nothing was changed */
export function reload(options: ControlOptions, paths: Paths, terminal: Terminal, signal: AbortSignal): Promise<void> {
  return printAnswer({ method: 'reload', timeoutMs: LONGEST_MS, parse: parseReload }, reloadText, {
    options,
    paths,
    terminal,
    signal,
  });
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
    ...lines.flatMap(([what, names]) => (names.length === 0 ? [] : [`${what}: ${names.join(', ')}`])),
    ...(others.length === 0 ? [] : [`changed: ${others.join(', ')}`]),
  ];
  return told.length === 0 ? ['nothing has changed'] : told;
}
