/**
 * A program: `npm run chaos`. Two gateways on real routers with traffic between them; lets one fault after the other happen
 * and prints a table of how long ping, TCP and UDP were away.
 */
import { parseArgs } from 'node:util';
import { messageOf } from '../lab/command.ts';
import { ECHO_PORT, type Lab, startLab } from '../lab/lab.ts';
import { showProgress } from '../lab/progress.ts';
import { FAULTS, type Fault } from './faults.ts';
import { KINDS, type Outage, startTraffic } from './traffic.ts';

const USAGE = `npm run chaos -- [FAULT ...]

Lets faults happen to two gateways on real routers, and prints for how long ping, one long TCP
connection and UDP between them were away. All of them unless some are named:

${FAULTS.map(({ name, what }) => `  ${name.padEnd(13)} ${what}`).join('\n')}
`;

const FAILED = 1;
const USAGE_ERROR = 64;
/** From the repair on. What routers of i2pd 2.45.1 need by themselves is 125 s at most. */
const PATIENCE_MS = 240_000;

async function main(): Promise<number> {
  const { positionals } = parseArgs({ allowPositionals: true });
  const unknown = positionals.filter((name) => !FAULTS.some((fault) => fault.name === name));
  if (unknown.length > 0) throw new Error(`no fault is called ${unknown.join(' or ')}`);
  const chosen = FAULTS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));

  const end = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => end.abort(new Error(`ended by ${signal}`)));
  }
  const progress = showProgress(process.stdout);
  let lab: Lab | undefined;
  let exitCode = FAILED;
  try {
    lab = await startLab({ signal: end.signal, progress, keys: 'reserved' });
    const rows = await suffer(lab, chosen, end.signal, (row) => progress.say(row));
    exitCode = rows.every(({ away }) => KINDS.every((kind) => away[kind] !== undefined)) ? 0 : FAILED;
  } catch (error) {
    if (!progress.hasShown(error)) progress.say(messageOf(error));
  }
  await progress.step('all of it removed', async () => lab?.stop());
  return exitCode;
}

async function suffer(
  lab: Lab,
  faults: readonly Fault[],
  signal: AbortSignal,
  say: (row: string) => void,
): Promise<Outage[]> {
  const { a, b } = lab;
  const traffic = await startTraffic({ namespace: a.namespace, host: b.addresses.oc, echoPort: ECHO_PORT, signal });
  const outages: Outage[] = [];
  try {
    say('| what happened | ping away | TCP away | UDP away | TCP connections |\n|---|---|---|---|---|');
    for (const { what, happen } of faults) {
      const outage = await traffic.during(() => happen(lab, signal), PATIENCE_MS);
      outages.push(outage);
      say(`| ${what} | ${KINDS.map((kind) => seconds(outage.away[kind])).join(' | ')} | ${fateOfTcp(outage)} |`);
    }
  } finally {
    traffic.stop();
  }
  return outages;
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? 'not back' : `${(ms / 1000).toFixed(1)} s`;
}

function fateOfTcp({ broken }: Outage): string {
  if (broken.length === 0) return 'the same one, no byte lost';
  return broken.map(({ why, lost }) => `${why}, ${lost} bytes were under way`).join('; ');
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n\n${USAGE}`);
  process.exitCode = USAGE_ERROR;
}
