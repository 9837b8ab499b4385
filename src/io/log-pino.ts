/**
 * The log: pino, one JSON object per line, written synchronously so that the last words before an exit are not lost.
 * Whatever reaches it, no line leaves with a destination, a key, a b32 name or an address of the VPN in it, and none with
 * characters that the terminal of whoever reads it would obey.
 */
import { type DestinationStream, destination, pino } from 'pino';
import type { Facts } from '../kit/errors.ts';
import type { Logger, LogLevel } from '../kit/log.ts';
import { plainJson } from '../kit/plain.ts';

export interface AdjustableLogger extends Logger {
  setLevel(level: LogLevel): void;
}

/** @param to where the lines go; standard error unless a test wants them */
export function createPinoLogger(level: LogLevel, to: DestinationStream = standardError()): AdjustableLogger {
  const log = pino(
    {
      level,
      // No process id and no host name: the service manager knows the one, and nobody should learn the other.
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: (line) => plainJson(scrub(line)) },
    },
    to,
  );
  const at = (name: LogLevel) => (message: string, facts?: Facts) => log[name](facts ?? {}, message);
  const setLevel = (wanted: LogLevel) => {
    log.level = wanted;
  };
  return { trace: at('trace'), debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), setLevel };
}

/**
 * The second line of defence, behind the rule that nothing of the kind is logged at all: replaces runs that can only be
 * a destination, a key, a b32 name or an address of ours.
 */
export function scrub(line: string): string {
  return line
    .replaceAll(/[A-Za-z0-9+/~-]{120,}={0,2}/g, '[base64]')
    .replaceAll(/[a-z2-7]{52,}(\.b32\.i2p)?/gi, '[b32]')
    .replaceAll(/[a-z2-7]{16}\.oc\.b32\.i2p/gi, '[address]')
    .replaceAll(/fd60:db4d:ddb5:[0-9a-f:]+/gi, '[address]');
}

function standardError(): DestinationStream {
  const stream = destination({ fd: 2, sync: true });
  // When nobody reads standard error any more there is nowhere left to say so, and the gateway must go on.
  stream.on('error', () => {});
  return stream;
}
