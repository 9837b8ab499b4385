/** `garligate leak-test`: does anything for I2P leave this machine by another way? Works with the gateway up or down. */
import { type Leak, type LeakReport, leakTest } from '../app/leak-test.ts';
import { systemClock } from '../io/clock.ts';
import { loadConfig } from '../io/config-file.ts';
import type { Paths } from '../io/paths.ts';
import { counted } from '../kit/counted.ts';
import type { LeakKind } from '../wire/packet/leak.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { json, type Terminal } from './terminal.ts';

export interface LeakTestOptions {
  readonly config?: string;
  readonly json?: boolean;
}

/** @throws GateError */
export async function leakTestVerb(
  options: LeakTestOptions,
  paths: Paths,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<ExitCode> {
  const { config } = await loadConfig(options.config, paths);
  const report = await leakTest(config, systemClock, signal);
  terminal.print(...(options.json === true ? [json(report)] : leakTestText(report)));
  if (report.leaks.length > 0) return EXIT.leak;
  return report.missed > 0 ? EXIT.unsure : EXIT.ok;
}

const ADVICE: Readonly<Record<LeakKind, string>> = {
  packet:
    "packets for the VPN leave by another interface: see `ip -6 route show table all | grep fd60`, remove routes that are not garligate's, and start the gateway once, which leaves an unreachable route behind",
  neighbor:
    "this machine asks a neighbour for an address of the VPN, since a route sends it there: see `ip -6 route show table all | grep fd60`, and remove routes that are not garligate's",
  name: 'whoever listens there asks a name server for what it should ask I2P: is it garligate?',
};

function leakTestText({ packets, names, leaks, missed }: LeakReport): readonly string[] {
  const asked = names.map(({ listen, asked, why }) =>
    why === undefined ? `names    ${asked} asked for at ${listen}` : `names    not asked for at ${listen}: ${why}`,
  );
  const found = leaks.flatMap((leak) => [`LEAK     ${leakText(leak)}`, `         ${ADVICE[leak.what]}`]);
  const unsure = `UNSURE   ${counted(missed, 'packet')} left that could not be looked at, since so much leaves this machine: try again`;
  return [
    `packets  ${packets.tried} sent to addresses of the VPN, ${packets.refused} of them refused at once`,
    ...asked,
    ...found,
    ...(missed > 0 ? [unsure] : []),
    ...(leaks.length === 0 && missed === 0 ? ['nothing left this machine by another way'] : []),
  ];
}

const THINGS: Readonly<Record<LeakKind, (count: number) => string>> = {
  packet: (count) => `${counted(count, 'packet')} for the VPN`,
  neighbor: (count) => `${counted(count, 'question')} for a neighbour`,
  name: (count) => `${counted(count, 'question')} for a name`,
};

function leakText({ what, interface: way, packets }: Leak): string {
  return `${THINGS[what](packets)} left by ${way === '' ? 'an interface that is gone' : way}`;
}
