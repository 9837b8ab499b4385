/**
 * What the fault lab lets happen to routers, lines and gateways. Each returns when what it broke has been repaired: by
 * itself, or as a person or a supervisor would.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Router } from '../lab/router.ts';
import { CLOCK_FAULTS } from './clock-faults.ts';
import { type Fault, RESTART_AFTER_MS, SESSION_ENDS } from './fault.ts';
import { HOST_FAULTS } from './host-faults.ts';
import { NEW_KEY } from './new-key.ts';

const [A, B, HOP] = [1, 2, 5];

export const FAULTS: readonly Fault[] = [
  cut(5),
  gateway('gateway', 'the other gateway is killed with -9 and started again', 'b'),
  gateway('own-gateway', 'the own gateway is killed with -9 and started again', 'a'),
  routers('peer-router', "the other gateway's router is killed with -9 and started again", [B]),
  // Both routers have other tunnels, and both sessions stay.
  { ...routers('hop', 'a router that carries tunnels is killed and started again', [HOP]), mayBreak: [], blockedMs: 0 },
  stopped(10),
  cut(60),
  { ...cut(300), isLong: true },
  routers('own-router', 'the own router is killed with -9 and started again', [A]),
  routers('both-routers', 'the routers of both gateways are killed with -9 and started again', [A, B]),
  ...CLOCK_FAULTS,
  ...HOST_FAULTS,
  NEW_KEY,
];

function gateway(name: string, what: string, which: 'a' | 'b'): Fault {
  return {
    name,
    what,
    mayBreak: SESSION_ENDS,
    blockedMs: RESTART_AFTER_MS,
    happen: async (stage, signal) => {
      stage.traffic.bare.drop(which);
      await stage[which].kill();
      await pause(RESTART_AFTER_MS, undefined, { signal });
      await stage[which].start(signal);
    },
  };
}

function routers(name: string, what: string, numbers: readonly number[]): Fault {
  return {
    name,
    what,
    mayBreak: SESSION_ENDS,
    blockedMs: RESTART_AFTER_MS,
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
    blockedMs: seconds * 1_000,
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
    blockedMs: seconds * 1_000,
    happen: async ({ b }, signal) => {
      b.signal('SIGSTOP');
      await pause(seconds * 1_000, undefined, { signal });
      b.signal('SIGCONT');
    },
  };
}
