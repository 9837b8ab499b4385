/**
 * A program: `npm run lab`. Brings the lab up and stays until Ctrl-C, or with --once proves everything and takes it down
 * again. Whatever happens, nothing of it remains on the machine.
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { messageOf } from './command.ts';
import { type Lab, startLab, WEB_PORT } from './lab.ts';
import { type Check, labChecks, stopChecks } from './lab-checks.ts';
import { parseLine } from './line-shape.ts';
import { type Progress, showProgress } from './progress.ts';
import { describeFigures } from './slow-cable.ts';

const USAGE = `npm run lab -- [options]

A private I2P network of real i2pd routers, two gateways on it with a host behind each, a web server on
one of them, and a stranger's web server. Stays up until Ctrl-C and says what to try.

  --once             check everything, take it down again; exit code 0 only if every check held
  --keep-on-failure  with --once: stay up when something failed, to look at it
  --routers N        how many routers, 5 unless told
  --reserved-keys    gateways with destinations that the routers keep ready: starts 20 s faster
  --rtt TIME         the line between routers 1 and 2 is slow: its round trip, such as 800ms
  --rate RATE        so many bytes per second and direction, such as 100kB/s
  --loss SHARE       so many packets are lost at random in each direction, such as 1%
  --seed N           which ones these are, 1 unless told
  --help             this text
`;

const FAILED = 1;
/** As a shell reports a program that Ctrl-C ended. */
const INTERRUPTED = 130;
const USAGE_ERROR = 64;
const LOG_LINES = 25;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      once: { type: 'boolean', default: false },
      'keep-on-failure': { type: 'boolean', default: false },
      routers: { type: 'string', default: '5' },
      'reserved-keys': { type: 'boolean', default: false },
      rtt: { type: 'string' },
      rate: { type: 'string' },
      loss: { type: 'string' },
      seed: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const line = parseLine(values);

  const end = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => end.abort(new Error(`ended by ${signal}`)));
  }
  const progress = showProgress(process.stdout);
  const start = performance.now();
  const stay = async () => {
    if (values['keep-on-failure'] && !end.signal.aborted) {
      progress.say('Staying up because of --keep-on-failure; Ctrl-C removes all of it.');
      await ended(end.signal);
    }
  };
  let lab: Lab | undefined;
  let exitCode = FAILED;
  try {
    lab = await startLab({
      signal: end.signal,
      progress,
      routers: Number(values.routers),
      line,
      keys: values['reserved-keys'] ? 'reserved' : 'fresh',
      onFailure: stay,
    });
    if (!values.once) {
      progress.say(whatToTry(lab));
      await ended(end.signal);
      exitCode = 0;
    } else if (await proves(lab, progress, end.signal)) {
      exitCode = 0;
    } else if (!end.signal.aborted) {
      progress.say(logsOf(lab));
      if (values['keep-on-failure']) progress.say(whatToTry(lab));
      await stay();
    }
  } catch (error) {
    if (!progress.hasShown(error)) progress.say(messageOf(error));
  }
  if (lab !== undefined) await showCables(lab, progress);
  await progress.step('all of it removed', async () => lab?.stop());
  if (end.signal.aborted && exitCode !== 0) exitCode = INTERRUPTED;
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  if (values.once) progress.say(exitCode === 0 ? `every check held, ${seconds} s` : `FAILED after ${seconds} s`);
  return exitCode;
}

/** What the cables themselves have counted since the network stood. */
async function showCables({ network }: Lab, progress: Progress): Promise<void> {
  for (const [index, cable] of network.slowCables.entries()) {
    const [from, to] = await cable.figures();
    const router = `router ${index + 1}`;
    progress.say(`  cable from ${router}: ${describeFigures(from)}\n  cable to ${router}:   ${describeFigures(to)}`);
  }
}

async function proves(lab: Lab, progress: Progress, signal: AbortSignal): Promise<boolean> {
  return (await holds(labChecks(lab), progress, signal)) && (await holds(stopChecks(lab), progress, signal));
}

/** Runs all checks even when one fails, so that one run shows everything. */
async function holds(checks: readonly Check[], progress: Progress, signal: AbortSignal): Promise<boolean> {
  let failures = 0;
  for (const { name, run } of checks) {
    if (signal.aborted) return false;
    try {
      await progress.step(
        name,
        () => run(signal),
        (how) => how,
      );
    } catch {
      failures++; // The step has printed why.
    }
  }
  return failures === 0;
}

async function ended(signal: AbortSignal): Promise<void> {
  // Waiting for a signal alone does not keep a process alive.
  const alive = setInterval(() => {}, 60_000);
  if (!signal.aborted) await once(signal, 'abort');
  clearInterval(alive);
}

function logsOf({ a, b }: Lab): string {
  return [a, b].map(({ name, said }) => `The end of gateway ${name}'s log:\n${said(LOG_LINES)}`).join('\n\n');
}

function whatToTry({ a, b, lans, stranger, network }: Lab): string {
  const inA = `ip netns exec ${a.namespace}`;
  const inB = `ip netns exec ${b.namespace}`;
  return `
Everything is up. In another terminal, as root:

  ${inA} ping -6 ${b.addresses.oc}
  ${inB} ping -6 ${a.addresses.oc}
  ip netns exec ${lans.a.host.namespace} ping -6 ${lans.b.host.address}    # between hosts behind the gateways
  ${inA} curl -sg http://[${b.addresses.oc}]:${WEB_PORT}/
  ${inA} curl -s --socks5-hostname ${a.socks} http://${stranger.bookName}/
  ${inA} curl -s --socks4a ${a.socks} http://${stranger.b32Name}/
  ${inA} curl -g --socks5 ${a.socks} http://[${b.addresses.oc}]:${WEB_PORT}/20MB.bin -o /dev/null
  ${inA} bin/garligate status --config ${a.configFile}
  ${inA} bash                             # a shell behind gateway a; exit with Ctrl-D
  ip netns exec ${network.router(1).namespace} curl -s http://127.0.0.1:7070/    # router 1's console

Files and logs are in ${network.directory}. Ctrl-C here removes all of it.
`;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n\n${USAGE}`);
  process.exitCode = USAGE_ERROR;
}
