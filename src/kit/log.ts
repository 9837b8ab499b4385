/**
 * What the program may say while it runs. Implemented with pino in io/. Facts hold no destination, name or key: there is
 * deliberately no way to log an object.
 */
import type { Facts } from './errors.ts';

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
