/** What goes wrong in a soak: each fault ends by itself, and all that it broke can mend. */
import { execFileSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import type { Action } from '../../test/helpers/fake-bridge/faults.ts';
import type { Stage } from './stage.ts';

export interface SoakFault {
  readonly name: string;
  happen(stage: Stage): Promise<void>;
}

const BRIEF_MS = 3_000;
const LONG_MS = 15_000;
const INTERFACE = 'garli0';

export const SOAK_FAULTS: readonly SoakFault[] = [
  { name: 'own router restarted', happen: ({ bridge }) => bridge.restart() },
  { name: "peer's router restarted", happen: ({ peerBridge }) => peerBridge.restart() },
  { name: 'own router away', happen: ({ bridge }) => away(bridge) },
  { name: 'peer restarted', happen: (stage) => stage.restartPeer() },
  {
    name: 'own session dropped',
    happen: async ({ bridge, own }) => {
      const session = bridge.sessions.find(({ b32 }) => b32 === own);
      if (session !== undefined) bridge.dropSession(session.id);
    },
  },
  { name: 'streams reset', happen: async ({ network, peer }) => network.cut(peer.b32, 'reset') },
  { name: 'streams ended', happen: async ({ network, peer }) => network.cut(peer.b32, 'end') },
  {
    name: 'line stalled',
    happen: async ({ network, peer }) => {
      network.stall(peer.b32);
      await pause(LONG_MS);
      network.resume(peer.b32);
    },
  },
  {
    name: 'peer not found',
    happen: async ({ network, peer }) => {
      network.offline(peer.b32, 'unreachable');
      network.cut(peer.b32, 'reset');
      await pause(LONG_MS);
      network.online(peer.b32);
    },
  },
  misbehaving('bridge silent', { kind: 'silence' }),
  misbehaving('bridge resets', { kind: 'reset' }),
  misbehaving('bridge closes', { kind: 'close' }),
  misbehaving('bridge answers half a line', { kind: 'answer', cut: 7, after: 'close' }),
  misbehaving('bridge sends an endless line', { kind: 'endless', bytes: 100_000 }),
  misbehaving('bridge answers nonsense', { kind: 'instead', text: 'STREAM STATUS RESULT=MAYBE\n' }),
  {
    name: 'gateway stopped for a moment',
    happen: async ({ daemon }) => {
      process.kill(daemon.pid, 'SIGSTOP');
      await pause(BRIEF_MS);
      process.kill(daemon.pid, 'SIGCONT');
    },
  },
  {
    name: 'interface down and up',
    happen: async () => {
      execFileSync('ip', ['link', 'set', INTERFACE, 'down']);
      await pause(BRIEF_MS);
      execFileSync('ip', ['link', 'set', INTERFACE, 'up']);
    },
  },
  {
    name: 'rules of the firewall flushed',
    happen: async () => {
      execFileSync('nft', ['delete', 'table', 'ip6', 'garligate']);
    },
  },
];

function misbehaving(name: string, action: Action): SoakFault {
  return {
    name,
    happen: async ({ bridge, network, peer }) => {
      bridge.misbehave({ on: /^(STREAM|SESSION|NAMING)/, action });
      network.cut(peer.b32, 'reset');
      await pause(BRIEF_MS);
      bridge.behave();
    },
  };
}

async function away(bridge: Stage['bridge']): Promise<void> {
  await bridge.stop();
  await pause(LONG_MS);
  await bridge.restart();
}
