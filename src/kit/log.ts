/**
 * What the program may say while it runs. Implemented with pino in io/. Facts hold no destination, name or key: there is
 * deliberately no way to log an object.
 */
import { asGateError, type Facts, GateError } from './errors.ts';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type Logger = Readonly<Record<LogLevel, (message: string, facts?: Facts) => void>>;

export const silentLogger: Logger = {
  trace: () => {},
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
};

/**
 * For work that ends here whatever becomes of it: a failure of the world is told at debug, a defect of ours at error, and
 * an end that somebody wanted not at all.
 *
 * @param doing what was being attempted, as a gerund phrase
 */
export function logFailure(log: Logger, thrown: unknown, doing: string): GateError {
  const error = logDefect(log, thrown, doing);
  const { kind, code, message } = error;
  if (kind !== 'bug' && kind !== 'cancelled' && kind !== 'shutdown') log.debug(message, { doing, code });
  return error;
}

/** The same where the message of a failure may name what a client asked for: tells defects, and nothing else. */
export function logDefect(log: Logger, thrown: unknown, doing: string): GateError {
  const error = asGateError(thrown, doing);
  if (error.kind === 'bug') {
    const defect = thrown instanceof GateError ? (thrown.cause ?? thrown) : thrown;
    const facts = defect instanceof Error ? { thrown: defect.name, at: placeOf(defect) } : { thrown: typeof defect };
    log.error(`a defect: ${doing} failed; please report this`, facts);
  }
  return error;
}

/** Where it was made. Its message, which stands before that, may hold anything. */
function placeOf({ stack = '' }: Error): string | undefined {
  return /^ {4}(at .*)$/m.exec(stack)?.[1];
}
