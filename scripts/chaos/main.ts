/**
 * A program: `npm run chaos`. Lets one fault after the other happen, first to two gateways on real routers with traffic
 * between them, then to pairs of gateways on a scriptable SAM bridge, and prints two tables of how long what was away, what
 * was said, and what is held.
 */
import { parseArgs } from 'node:util';
import { messageOf } from '../lab/command.ts';
import { ECHO_PORT, type Lab, startLab, WEB_PORT } from '../lab/lab.ts';
import { showProgress } from '../lab/progress.ts';
import { wallClock } from '../lab/wall-clock.ts';
import { BRIDGE_FAULTS, type BridgeFault } from './bridge-faults.ts';
import { BRIDGE_HEAD, sufferBridge } from './bridge-run.ts';
import type { Fault, Stage } from './fault.ts';
import { FAULTS } from './faults.ts';
import { held, listen } from './observe.ts';
import { describe, HEAD } from './table.ts';
import { KINDS, type Outage, startTraffic } from './traffic.ts';

const USAGE = `npm run chaos -- [FAULT ...]

Lets faults happen to two gateways on real routers, and prints for how long ping, one long TCP
connection, UDP, a download through the interface and one through SOCKS were away, and a bare SAM stream
on the same routers beside them, what the logs warned of, and what both processes hold before and after. All but the long ones (*) unless some are named:

${FAULTS.map(line).join('\n')}

The same, but in one process on a scriptable SAM bridge, with packets alone:

${BRIDGE_FAULTS.map(line).join('\n')}
`;

const FAILED = 1;
const USAGE_ERROR = 64;
/** From the repair on. What routers of i2pd 2.45.1 need by themselves is 125 s at most. */
const PATIENCE_MS = 240_000;

async function main(): Promise<number> {
  const { positionals } = parseArgs({ allowPositionals: true });
  const known = new Set([...FAULTS, ...BRIDGE_FAULTS].map(({ name }) => name));
  const unknown = positionals.filter((name) => !known.has(name));
  if (unknown.length > 0) throw new Error(`no fault is called ${unknown.join(' or ')}`);
  const isChosen = ({ name, isLong }: Listed) =>
    positionals.includes(name) || (positionals.length === 0 && isLong !== true);
  const [onRouters, onBridge] = [FAULTS.filter(isChosen), BRIDGE_FAULTS.filter(isChosen)];

  const end = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => end.abort(new Error(`ended by ${signal}`)));
  }
  const progress = showProgress(process.stdout);
  const clocks = { gateway: wallClock(), router: wallClock() };
  let lab: Lab | undefined;
  const say = (row: string) => progress.say(row);
  let exitCode = FAILED;
  try {
    let isWell = true;
    if (onRouters.length > 0) {
      lab = await startLab({ signal: end.signal, progress, keys: 'reserved', clocks });
      const rows = await suffer(lab, clocks, onRouters, end.signal, say);
      isWell = rows.every(({ away }) => KINDS.every((kind) => away[kind] !== undefined));
    }
    if (onBridge.length > 0 && !(await sufferOnBridge(onBridge, end.signal, say))) isWell = false;
    exitCode = isWell ? 0 : FAILED;
  } catch (error) {
    if (!progress.hasShown(error)) progress.say(messageOf(error));
  }
  await progress.step('all of it removed', async () => {
    await lab?.stop();
    for (const clock of [clocks.gateway, clocks.router]) clock.remove();
  });
  return exitCode;
}

async function suffer(
  lab: Lab,
  clocks: Stage['clocks'],
  faults: readonly Fault[],
  signal: AbortSignal,
  say: (row: string) => void,
): Promise<Outage[]> {
  const { a, b } = lab;
  const [socksHost = '', socksPort] = a.socks.split(':');
  const traffic = await startTraffic({
    network: lab.network,
    namespace: a.namespace,
    host: b.addresses.oc,
    echoPort: ECHO_PORT,
    webPort: WEB_PORT,
    socks: { host: socksHost, port: Number(socksPort) },
    signal,
  });
  const stage: Stage = { ...lab, clocks, traffic };
  const outages: Outage[] = [];
  try {
    say(HEAD);
    for (const { what, happen } of faults) {
      const before = [a, b].map((gateway) => ({ gateway, warned: listen(gateway), held: held(gateway) }));
      const outage = await traffic.during(() => happen(stage, signal), PATIENCE_MS);
      outages.push(outage);
      const sides = before.map(({ gateway, warned, held: was }) => ({
        name: gateway.name,
        before: was,
        after: held(gateway),
        warned: warned(),
      }));
      say(describe(what, outage, sides));
    }
  } finally {
    traffic.stop();
  }
  return outages;
}

/** @returns whether all was well again each time */
async function sufferOnBridge(
  faults: readonly BridgeFault[],
  signal: AbortSignal,
  say: (row: string) => void,
): Promise<boolean> {
  say(BRIDGE_HEAD);
  let isWell = true;
  for (const fault of faults) {
    signal.throwIfAborted();
    const { text, isWell: isBack } = await sufferBridge(fault);
    say(text);
    isWell &&= isBack;
  }
  return isWell;
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
