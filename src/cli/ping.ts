/** `garligate ping`: asks the running gateway how far one gets on the way to a peer, and says what is broken. */
import {
  LONGEST_PING_MS,
  PING_STEPS,
  type PingReport,
  type PingStepName,
  type PingStepReport,
  parsePing,
} from '../control/ping.ts';
import { systemClock } from '../io/clock.ts';
import type { Paths } from '../io/paths.ts';
import { sleep } from '../kit/clock.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { type ControlOptions, connect, requireUnderstood } from './status.ts';
import { json, type Terminal, table } from './terminal.ts';

export interface PingOptions extends ControlOptions {
  /** Number of pings. */
  readonly count?: number;
  /** Seconds for each. */
  readonly timeout?: number;
}

/** Seconds. */
export const LONGEST_TIMEOUT = LONGEST_PING_MS / 1_000;
export const MOST_PINGS = 1_000_000;

const EXIT_OF_STEP: Readonly<Record<PingStepName, ExitCode>> = {
  sam: EXIT.router,
  session: EXIT.session,
  leaseSet: EXIT.leaseSet,
  stream: EXIT.stream,
  gateway: EXIT.gateway,
  ipv6: EXIT.ipv6,
};

const NAMES: Readonly<Record<PingStepName, string>> = {
  sam: 'SAM',
  session: 'session',
  leaseSet: 'lease set',
  stream: 'stream',
  gateway: 'gateway',
  ipv6: 'IPv6',
};

const PAUSE_MS = 1_000;
/** The gateway keeps the time of the ping; this is for its answer to come. */
const GRACE_MS = 5_000;

/** @throws GateError */
export async function ping(
  peer: string,
  options: PingOptions,
  paths: Paths,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<ExitCode> {
  const { count = 1, timeout = 60 } = options;
  const timeoutMs = timeout * 1_000;
  let exit: ExitCode = EXIT.ok;
  for (let done = 0; done < count; done += 1) {
    if (done > 0) await sleep(systemClock, PAUSE_MS, signal);
    const client = await connect(options, paths, signal);
    try {
      const report = requireUnderstood(
        parsePing(await client.request('ping', { peer, timeoutMs }, timeoutMs + GRACE_MS)),
      );
      terminal.print(...(options.json === true ? [json(report)] : pingText(report)));
      exit = exitOf(report);
    } finally {
      client.close();
    }
  }
  return exit;
}

function exitOf({ steps }: PingReport): ExitCode {
  const broken = steps.find(({ outcome }) => outcome === 'failed');
  return broken === undefined ? EXIT.ok : EXIT_OF_STEP[broken.step];
}

function pingText({ peer, steps }: PingReport): readonly string[] {
  const lines = PING_STEPS.map((name) => {
    const step = steps.find((one) => one.step === name);
    return [NAMES[name], step === undefined ? '-' : outcomeText(step)];
  });
  const broken = steps.find(({ outcome }) => outcome === 'failed');
  return [peer, ...table(lines), ...(broken?.advice === undefined ? [] : [broken.advice])];
}

function outcomeText({ outcome, ms, text }: PingStepReport): string {
  const time = `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
  switch (outcome) {
    case 'ok':
      return `ok, ${time}`;
    case 'unknown':
      return `unknown: ${text ?? ''}`;
    case 'failed':
      return `FAILED after ${time}: ${text ?? ''}`;
    default:
      return outcome satisfies never;
  }
}
