/**
 * What the fault lab lets happen to a SAM bridge, a peer's key and a hundred streams: things that no real router does when
 * it is asked to. Each begins with two gateways that reach each other, and returns when what was wrong is right again. Each ends
 * the session, or all of its streams, and so connections through SOCKS with them.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Action } from '../../test/helpers/fake-bridge/faults.ts';
import type { BridgePair } from './bridge-pair.ts';
import { RESTART_AFTER_MS } from './fault.ts';

export interface BridgeFault {
  readonly name: string;
  readonly what: string;
  /** Takes minutes, and happens only when it is asked for by name, or with all the others. */
  readonly isLong?: true;
  /** For so many milliseconds nothing can come through, whatever a gateway does; 0 unless told. */
  readonly blockedMs?: number;
  happen(pair: BridgePair): Promise<void>;
}

const SILENT_MS = 10_000;
/** i2pd 2.45.1 keeps the key of a session for so long after its end, and gives a session that comes meanwhile nothing. */
const KEY_KEPT_MS = 5_000;
const LONG_LINE = 10_000_000;
const AWAY_MS = 5_000;
const LOSSES = 100;
const BETWEEN_LOSSES_MS = 20;

export const BRIDGE_FAULTS: readonly BridgeFault[] = [
  {
    name: 'bridge-silent',
    what: 'the router is started again, and its bridge accepts connections and says nothing for 10 s',
    blockedMs: SILENT_MS,
    happen: async ({ alice }) => {
      alice.bridge.misbehave({ on: '', action: { kind: 'silence' } });
      await alice.bridge.restart();
      await pause(SILENT_MS);
      alice.bridge.behave();
      // What was asked before is never answered: its connections end with this router.
      await alice.bridge.restart();
    },
  },
  answers('bridge-half-line', 'answers half a line and closes', { kind: 'answer', cut: 20, after: 'close' }),
  answers('bridge-reset', 'resets in the middle of a reply', { kind: 'answer', cut: 20, after: 'reset' }),
  answers('bridge-long-line', 'sends a line of 10 MB', { kind: 'endless', bytes: LONG_LINE }),
  answers('bridge-unknown-result', 'answers with a result that nobody knows', {
    kind: 'instead',
    text: 'SESSION STATUS RESULT=MAYBE_LATER\n',
  }),
  answers('bridge-other-reply', 'answers with a reply to something else', {
    kind: 'instead',
    text: 'STREAM STATUS RESULT=OK\n',
  }),
  {
    name: 'bridge-wrong-session',
    what: 'the bridge does not know the session any more at the next dial or accept, nor the next two sessions',
    blockedMs: 2 * KEY_KEPT_MS,
    happen: async ({ alice, network, bob }) => {
      alice.bridge.misbehave({
        on: 'STREAM ',
        times: 3,
        action: { kind: 'instead', text: 'STREAM STATUS RESULT=INVALID_ID\n' },
      });
      network.cut(bob.running.b32, 'reset');
    },
  },
  {
    name: 'losses',
    isLong: true,
    what: `${LOSSES} losses in a row: each stream between the two is reset as soon as it stands`,
    happen: async ({ network, alice, isUp }) => {
      for (let lost = 0; lost < LOSSES; ) {
        if (isUp()) {
          network.cut(alice.running.b32, 'reset');
          lost += 1;
        }
        await pause(BETWEEN_LOSSES_MS);
      }
    },
  },
  {
    name: 'impostor',
    what: 'somebody with another key dials in place of the peer, which is away for 5 s',
    blockedMs: AWAY_MS,
    happen: (pair) => pair.impersonate(AWAY_MS),
  },
];

/** The session is lost, and the bridge answers the next SESSION CREATE in this way, once. */
function answers(name: string, what: string, action: Action): BridgeFault {
  return {
    name,
    what: `the router is killed and started again, and its bridge ${what}`,
    // It may have begun the session that it was asked for.
    blockedMs: RESTART_AFTER_MS + KEY_KEPT_MS,
    happen: async ({ alice }) => {
      alice.bridge.misbehave({ on: 'SESSION CREATE', times: 1, action });
      await alice.bridge.stop();
      await pause(RESTART_AFTER_MS);
      await alice.bridge.restart();
    },
  };
}
