/** `garligate exposure`: what each peer can reach of this host, as the running gateway sees it. */
import { type ExposureReport, parseExposure } from '../control/exposure.ts';
import type { Paths } from '../io/paths.ts';
import { type ControlOptions, printAnswer } from './status.ts';
import { type Terminal, table } from './terminal.ts';

/** @throws GateError */
export function exposure(
  options: ControlOptions,
  paths: Paths,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  return printAnswer({ method: 'exposure', parse: parseExposure }, exposureText, { options, paths, terminal, signal });
}

function exposureText({ firewall, networks, peers }: ExposureReport): readonly string[] {
  const states = {
    on: [],
    off: ['The firewall is off: every peer reaches whatever listens here.', ''],
    broken: ['The rules of the firewall are gone: until they are back, peers reach whatever listens here.', ''],
  };
  const rows = peers.map(({ name, rules, icmp, open, filtered }) => [
    name,
    rules.join(' ') || '-',
    icmp ? 'yes' : 'no',
    open.join(' ') || '-',
    filtered.join(' ') || '-',
  ]);
  return [
    ...states[firewall],
    ...(peers.length === 0
      ? ['no peers']
      : table([['PEER', 'ALLOWED', 'PING', 'OPEN HERE', 'FILTERED HERE'], ...rows])),
    ...(networks.length === 0 ? [] : ['', `behind this host, as far as allowed: ${networks.join(' ')}`]),
  ];
}
