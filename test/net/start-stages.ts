/** How far a start of the gateway has come, seen from outside by what it has made. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { type Place, type Running, START_MS, tables } from './daemon-place.ts';

export interface Stage {
  readonly name: string;
  reached(place: Place, gateway: Running): boolean;
}

export const START: Stage = { name: 'is a process', reached: () => true };
export const STANDS: Stage = { name: 'stands', reached: (_, gateway) => gateway.isUp() };
/** In the order of a start, up to a router. */
export const STAGES: readonly Stage[] = [
  START,
  { name: 'has a key', reached: ({ key }) => existsSync(key) },
  { name: 'holds its key', reached: ({ key }) => existsSync(`${key}.last-use`) },
  { name: 'has its interface', reached: () => existsSync('/sys/class/net/garli0') },
  { name: 'has its rules', reached: () => tables() !== '' },
  { name: 'has its addresses', reached: () => readFileSync('/proc/self/net/if_inet6', 'latin1').includes('garli0') },
  { name: 'has its control socket', reached: ({ socket }) => existsSync(socket) },
  { name: 'is not root any more', reached: (_, { pid }) => !/^Uid:\t0\t/m.test(procStatus(pid)) },
  STANDS,
];

function procStatus(pid: number): string {
  return readFileSync(`/proc/${pid}/status`, 'latin1');
}

/** Looks with every turn of the event loop, since a start goes through most of its stages within milliseconds. */
export async function untilReached({ name, reached }: Stage, place: Place, gateway: Running): Promise<void> {
  const end = performance.now() + START_MS;
  while (!reached(place, gateway)) {
    assert.ok(performance.now() < end && !gateway.hasEnded(), `it never ${name}: ${gateway.said()}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
