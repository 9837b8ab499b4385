/**
 * Tells the service manager that started this process how it is (sd_notify(3)): up, alive, ending. Silent where none has
 * asked. Knows nothing of what is up.
 */
import type { Clock, Timer } from '../kit/clock.ts';
import { asGateError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { loadNative } from './native.ts';

export interface ServiceManager {
  /** What was started is up. From now on the manager hears that the event loop turns, if it wants to. */
  ready(): void;
  stopping(): void;
}

/** As the manager sets them; all others are left alone. */
export type ManagerEnvironment = Readonly<Record<string, string | undefined>>;

export interface ServiceManagerOptions {
  readonly environment: ManagerEnvironment;
  readonly clock: Clock;
  readonly log: Logger;
  readonly pid?: number;
  /** @throws what the system says */
  readonly tell?: (address: string, message: string) => void;
}

/** Of the time after which the manager takes us for dead, as sd_watchdog_enabled(3) recommends. */
const WATCHDOG_SHARE = 1 / 2;

export function createServiceManager(options: ServiceManagerOptions): ServiceManager {
  const { environment, clock, log, pid = process.pid } = options;
  const { tell = (address, message) => loadNative().tellServiceManager(address, message) } = options;
  const address = environment['NOTIFY_SOCKET'];
  const everyMs = watchdogMs(environment, pid) * WATCHDOG_SHARE;
  let timer: Timer | undefined;
  let isHeard = true;

  const say = (message: string) => {
    if (address === undefined) return;
    try {
      tell(address, message);
      isHeard = true;
    } catch (error) {
      const { message: why } = asGateError(error, 'telling the service manager');
      if (isHeard) {
        log.warn(`the service manager cannot be told how the gateway is (${why}), and may end it for that`, {
          code: 'service-manager.deaf',
        });
      }
      isHeard = false;
    }
  };
  const beat = () => {
    say('WATCHDOG=1');
    timer = clock.after(everyMs, beat);
  };
  return {
    ready: () => {
      say('READY=1');
      if (everyMs > 0) timer = clock.after(everyMs, beat);
    },
    stopping: () => {
      timer?.cancel();
      say('STOPPING=1');
    },
  };
}

/** @returns 0 where this process is not watched */
function watchdogMs(environment: ManagerEnvironment, pid: number): number {
  const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID = String(pid) } = environment;
  if (NOTIFY_SOCKET === undefined || WATCHDOG_PID !== String(pid)) return 0;
  return /^\d{1,15}$/.test(WATCHDOG_USEC ?? '') ? Number(WATCHDOG_USEC) / 1000 : 0;
}
