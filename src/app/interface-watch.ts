/** Tells the log when the interface stops being as it should be, and when it is again: status tells only who asks. */
import type { TunPort, TunState } from '../core/ports.ts';
import type { Clock, Timer } from '../kit/clock.ts';
import type { Logger } from '../kit/log.ts';
import type { Service } from '../kit/service.ts';
import { interfaceHealth } from './network-health.ts';

const LOOK_MS = 2_000;

export function interfaceWatch(tun: Pick<TunPort, 'name' | 'state'>, clock: Clock, log: Logger): Service {
  let timer: Timer | undefined;
  let known: TunState = 'up';
  const look = () => {
    const state = tun.state();
    if (state !== known) {
      known = state;
      const problems = interfaceHealth(tun.name, state);
      for (const { text, advice, code } of problems) log.warn(`${text}; ${advice}`, { code });
      if (problems.length === 0) log.info('the interface is as it should be again');
    }
    timer = clock.after(LOOK_MS, look);
  };
  return {
    name: 'interface watch',
    start: async () => look(),
    stop: async () => timer?.cancel(),
  };
}
