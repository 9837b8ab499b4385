/**
 * Sees to it that the interface stays as it was brought up: what somebody takes away of its addresses and routes is put
 * back, and the log tells of that and of whatever else is not as it should be.
 */
import type { TunPort, TunState } from '../core/ports.ts';
import type { Clock, Timer } from '../kit/clock.ts';
import { asGateError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type { Service } from '../kit/service.ts';
import { interfaceHealth } from './network-health.ts';

export interface InterfaceWatch extends Service {
  /** How often something was put back, and when that was last, by the clock. */
  readonly restored: { readonly count: number; readonly lastMs: number | undefined };
}

/** How often is asked whether anything has changed, and how often what could not be put back is tried again. */
const LOOK_MS = 250;
const RETRY_MS = 2_000;
/** Whoever takes it away again and again shall not fill the log. */
const TELL_MS = 60_000;

export function createInterfaceWatch(
  tun: Pick<TunPort, 'name' | 'state' | 'pollChanges' | 'restore'>,
  clock: Clock,
  log: Logger,
): InterfaceWatch {
  let timer: Timer | undefined;
  let known: TunState = 'up';
  let restored: InterfaceWatch['restored'] = { count: 0, lastMs: undefined };
  let toldAt = Number.NEGATIVE_INFINITY;
  let lookedAt = Number.NEGATIVE_INFINITY;

  const putBack = (): TunState => {
    try {
      tun.restore();
    } catch (error) {
      const { message, code } = asGateError(error, 'putting addresses and routes of the interface back');
      if (known !== 'incomplete') log.error(message, { code });
      return 'incomplete';
    }
    const state = tun.state();
    if (state === 'incomplete') return state;
    const now = clock.now();
    restored = { count: restored.count + 1, lastMs: now };
    if (now - toldAt >= TELL_MS) {
      toldAt = now;
      log.warn('somebody took an address or a route of the interface away; it has been put back', {
        code: 'tun.restored',
        count: restored.count,
      });
    }
    return state;
  };

  const examine = () => {
    lookedAt = clock.now();
    const seen = tun.state();
    const state = seen === 'incomplete' ? putBack() : seen;
    if (state === known) return;
    known = state;
    const problems = interfaceHealth(tun.name, state);
    for (const { text, advice, code } of problems) log.warn(`${text}; ${advice}`, { code });
    if (problems.length === 0) log.info('the interface is as it should be again');
  };

  const look = () => {
    const isDue = known !== 'up' && clock.now() - lookedAt >= RETRY_MS;
    if (tun.pollChanges() || isDue) examine();
    timer = clock.after(LOOK_MS, look);
  };

  return {
    get restored() {
      return restored;
    },
    start: async () => {
      examine();
      look();
    },
    stop: async () => timer?.cancel(),
  };
}
