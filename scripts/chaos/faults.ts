/** What the fault lab lets happen. Each returns when what it broke has been repaired. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Lab } from '../lab/lab.ts';
import type { Router } from '../lab/router.ts';

export interface Fault {
  /** For the command line. */
  readonly name: string;
  readonly what: string;
  happen(lab: Lab, signal: AbortSignal): Promise<void>;
}

/** What a person or a supervisor needs at least to start something again. */
const RESTART_AFTER_MS = 2_000;
const [A, B, HOP] = [1, 2, 5];

export const FAULTS: readonly Fault[] = [
  cut(5),
  {
    name: 'gateway',
    what: 'the other gateway is killed with -9 and started again',
    happen: async ({ b }, signal) => {
      await b.kill();
      await pause(RESTART_AFTER_MS, undefined, { signal });
      await b.start(signal);
    },
  },
  routers('peer-router', "the other gateway's router is killed with -9 and started again", [B]),
  routers('hop', 'a router that carries tunnels is killed and started again', [HOP]),
  stopped(10),
  cut(60),
  routers('own-router', 'the own router is killed with -9 and started again', [A]),
  routers('both-routers', 'the routers of both gateways are killed with -9 and started again', [A, B]),
];

function routers(name: string, what: string, numbers: readonly number[]): Fault {
  return {
    name,
    what,
    happen: async ({ network }, signal) => {
      const all = numbers.map((number): Router => network.router(number));
      await Promise.all(all.map((router) => router.kill()));
      await pause(RESTART_AFTER_MS, undefined, { signal });
      await Promise.all(all.map((router) => router.start()));
    },
  };
}

function cut(seconds: number): Fault {
  return {
    name: `cut-${seconds}`,
    what: `the other router's network is gone for ${seconds} s`,
    happen: async ({ network }, signal) => {
      await network.plug(B, false);
      await pause(seconds * 1_000, undefined, { signal });
      await network.plug(B, true);
    },
  };
}

function stopped(seconds: number): Fault {
  return {
    name: `stopped-${seconds}`,
    what: `the other gateway is stopped (SIGSTOP) for ${seconds} s`,
    happen: async ({ b }, signal) => {
      b.signal('SIGSTOP');
      await pause(seconds * 1_000, undefined, { signal });
      b.signal('SIGCONT');
    },
  };
}
