/** `garligate status` and `garligate peers`: what the running gateway says over its control socket. */
import { parsePeers, parseStatus, type StatusReport } from '../control/status.ts';
import { systemClock } from '../io/clock.ts';
import { loadConfig } from '../io/config-file.ts';
import { type ControlClient, connectControl } from '../io/control-socket.ts';
import type { Paths } from '../io/paths.ts';
import { sleep } from '../kit/clock.ts';
import { GateError } from '../kit/errors.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { peersText, statusText } from './status-text.ts';
import { json, type Terminal } from './terminal.ts';

export interface ControlOptions {
  readonly config?: string;
  /** The control socket, for users who may not read the config file. */
  readonly socket?: string;
  readonly json?: boolean;
  /** Show b32 names and addresses in full. */
  readonly reveal?: boolean;
}

export interface StatusOptions extends ControlOptions {
  readonly watch?: boolean;
  /** Tell by the exit code whether all is well. */
  readonly strict?: boolean;
}

const WATCH_PAUSE_MS = 2_000;

/** @throws GateError */
export async function status(
  options: StatusOptions,
  paths: Paths,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<ExitCode> {
  const client = await connect(options, paths, signal);
  try {
    for (;;) {
      const report = requireUnderstood(
        parseStatus(await client.request('status', { reveal: options.reveal === true })),
      );
      if (options.watch === true && options.json !== true && terminal.isScreen) terminal.clear();
      terminal.print(...(options.json === true ? [json(report)] : statusText(report)));
      if (options.watch !== true) return options.strict === true && !isWell(report) ? EXIT.degraded : EXIT.ok;
      await sleep(systemClock, WATCH_PAUSE_MS, signal);
    }
  } catch (error) {
    if (options.watch === true && signal.aborted) return EXIT.ok;
    throw error;
  } finally {
    client.close();
  }
}

/** @throws GateError */
export async function peers(
  options: ControlOptions,
  paths: Paths,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const question = { method: 'peers', params: { reveal: options.reveal === true }, parse: parsePeers };
  await printAnswer(question, (list) => (list.length === 0 ? ['no peers'] : peersText(list)), {
    options,
    paths,
    terminal,
    signal,
  });
}

function isWell({ health }: StatusReport): boolean {
  return health.every(({ severity }) => severity === 'low');
}

export interface Question<T> {
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>>;
  /** How long the answer may take; as long as usual unless told. */
  readonly timeoutMs?: number;
  readonly parse: (answer: unknown) => T | undefined;
}

/** Asks the running gateway one question and prints the answer, as JSON where that is wanted. @throws GateError */
export async function printAnswer<T>(
  { method, params, timeoutMs, parse }: Question<T>,
  text: (answer: T) => readonly string[],
  { options, paths, terminal, signal }: ControlCall,
): Promise<void> {
  const client = await connect(options, paths, signal);
  try {
    const answer = requireUnderstood(parse(await client.request(method, params, timeoutMs)));
    terminal.print(...(options.json === true ? [json(answer)] : text(answer)));
  } finally {
    client.close();
  }
}

/** Who asks, and where. */
export interface ControlCall {
  readonly options: ControlOptions;
  readonly paths: Paths;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

/** @throws GateError when no gateway runs */
export async function connect(options: ControlOptions, paths: Paths, signal: AbortSignal): Promise<ControlClient> {
  const path = options.socket ?? (await loadConfig(options.config, paths)).config.control.socket;
  return connectControl(path, systemClock, signal);
}

/** @throws GateError for an answer that this version does not know */
export function requireUnderstood<T>(answer: T | undefined): T {
  if (answer !== undefined) return answer;
  throw new GateError('local-io', 'control.version', 'the running gateway is of another version; restart it');
}
