/**
 * A program: `npm run chaos`. Lets one fault after the other happen, first to two gateways on real routers with traffic
 * between them, then to pairs of gateways on a scriptable SAM bridge, and prints the two tables of docs/reliability.md.
 */
import { parseArgs } from 'node:util';
import { messageOf } from '../lab/command.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { showProgress } from '../lab/progress.ts';
import { wallClock } from '../lab/wall-clock.ts';
import { BRIDGE_FAULTS } from './bridge-faults.ts';
import { sufferOnBridge } from './bridge-run.ts';
import { FAULTS } from './faults.ts';
import { sufferOnRouters } from './router-run.ts';
import { isGood, type Judgement, summaryOf } from './verdict.ts';

const USAGE = `npm run chaos -- [--all] [--rounds N] [FAULT ...]

Lets faults happen to two gateways on real routers, and prints for how long ping, one long TCP
connection, UDP, a download through the interface and one through SOCKS were away, and a bare SAM stream
on the same routers beside them; which connections broke, and what was lost on them; what the logs warned
of, and what both processes hold before and after. Fails where a byte is wrong, something does not come
back, a connection breaks that need not or loses more than was under way, or more is held than before.
Says MISSED where only the time was longer than 1.2 times the bare stream's, and than 10 s. The exit code
is 1 in both cases. With --rounds those on routers happen so often, up to 20 times, and the times are judged
by their medians. All but the long ones (*) unless some are named; with --all the long ones too:

${FAULTS.map(line).join('\n')}

The same, but in one process on a scriptable SAM bridge, with packets and a connection through SOCKS:

${BRIDGE_FAULTS.map(line).join('\n')}
`;

/** Some row is not good, or could not be made. */
const NOT_GOOD = 1;
const USAGE_ERROR = 64;

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { all: { type: 'boolean' }, rounds: { type: 'string', default: '1' } },
  });
  if (!/^([1-9]|1\d|20)$/.test(values.rounds)) throw new Error(`--rounds is from 1 to 20, not ${values.rounds}`);
  const rounds = Number(values.rounds);
  const known = new Set([...FAULTS, ...BRIDGE_FAULTS].map(({ name }) => name));
  const unknown = positionals.filter((name) => !known.has(name));
  if (unknown.length > 0) throw new Error(`no fault is called ${unknown.join(' or ')}`);
  const isChosen = ({ name, isLong }: Listed) =>
    values.all === true || (positionals.length === 0 ? isLong !== true : positionals.includes(name));
  const [onRouters, onBridge] = [FAULTS.filter(isChosen), BRIDGE_FAULTS.filter(isChosen)];

  const end = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => end.abort(new Error(`ended by ${signal}`)));
  }
  const progress = showProgress(process.stdout);
  const clocks = { gateway: wallClock(), router: wallClock() };
  let lab: Lab | undefined;
  const say = (row: string) => progress.say(row);
  const rows = new Map<string, Judgement>();
  let isDone = false;
  const keep = (more: ReadonlyMap<string, Judgement>) => {
    for (const [name, judgement] of more) rows.set(name, judgement);
  };
  const openLab = async () => {
    await lab?.stop();
    lab = await startLab({ signal: end.signal, progress, keys: 'reserved', clocks });
    return lab;
  };
  try {
    if (onRouters.length > 0)
      keep(await sufferOnRouters({ openLab, clocks, faults: onRouters, rounds, signal: end.signal, say }));
    if (onBridge.length > 0) keep(await sufferOnBridge(onBridge, end.signal, say));
    isDone = true;
    say(`\n${summaryOf(rows)}`);
  } catch (error) {
    if (!progress.hasShown(error)) progress.say(messageOf(error));
  }
  await progress.step('all of it removed', async () => {
    await lab?.stop();
    for (const clock of [clocks.gateway, clocks.router]) clock.remove();
  });
  return isDone && [...rows.values()].every(isGood) ? 0 : NOT_GOOD;
}

interface Listed {
  readonly name: string;
  readonly what: string;
  readonly isLong?: true;
}

function line({ name, what, isLong }: Listed): string {
  return `  ${name.padEnd(22)} ${what}${isLong === true ? ' *' : ''}`;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n\n${USAGE}`);
  process.exitCode = USAGE_ERROR;
}
