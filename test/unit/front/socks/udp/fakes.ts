/** What an association stands on, scripted: sessions that record what is sent, a resolver, and the VPN. */
import assert from 'node:assert/strict';
import type { Attachment, SendOutcome, TakeDatagram } from '../../../../../src/core/datagram/session.ts';
import { createPeerTable, type PeerSettings } from '../../../../../src/core/peers/table.ts';
import type { SessionKey } from '../../../../../src/core/session/key.ts';
import { GATEWAY } from '../../../../../src/core/session/key.ts';
import { Association, type AssociationParts } from '../../../../../src/front/socks/udp/association.ts';
import { UDP_COUNTERS } from '../../../../../src/front/socks/udp/counters.ts';
import { GateError } from '../../../../../src/kit/errors.ts';
import { silentLogger } from '../../../../../src/kit/log.ts';
import { createTally } from '../../../../../src/kit/tally.ts';
import { addressesOf } from '../../../../../src/wire/i2p/address.ts';
import type { Destination } from '../../../../../src/wire/i2p/destination.ts';
import { generateKeys } from '../../../../helpers/fake-bridge/keys.ts';
import { FakeClock } from '../../../../helpers/fake-clock.ts';
import { FakeUdp } from '../../../../helpers/fake-udp.ts';
import { accessWith } from '../fakes.ts';

export function newDestination(): Destination {
  return generateKeys().destination;
}

/** One that only is there. */
export function attachment(): Attachment {
  return { port: 1, attached: true, ready: async () => {}, send: () => 'sent', detach: () => {} };
}

export interface Sent {
  readonly key: SessionKey;
  readonly to: string;
  readonly port: number;
  readonly payload: string;
}

export function peerSettings(destination: Destination, isOnionCat = false): PeerSettings {
  return {
    name: 'peer',
    b32: destination.b32,
    destination,
    connect: 'demand',
    onionCat: isOnionCat ? { inbound: [] } : undefined,
    routes: [],
    allow: [],
  };
}

interface Setting extends Partial<AssociationParts> {
  readonly withTun?: boolean;
  readonly rate?: number;
  readonly peer?: Destination;
  readonly isOnionCat?: boolean;
}

export function setUp(more: Setting = {}) {
  const { withTun = true, rate = 1000, peer = newDestination(), isOnionCat = false, ...parts } = more;
  const clock = new FakeClock();
  const own = newDestination();
  const names = new Map<string, Destination>();
  const sent: Sent[] = [];
  const toClient: Buffer[] = [];
  const vpn = new FakeUdp();
  /** Names are looked up for as long as `answered` is not there. */
  const state = { outcome: 'sent' as SendOutcome, ready: true, leases: 0, refuse: false, answered: Promise.resolve() };
  const takers = new Map<string, TakeDatagram>();
  const defects: string[] = [];
  const counts = createTally([...UDP_COUNTERS, 'dnsLeak']);
  const association = new Association({
    environment: {
      sessions: {
        lease: (key) => {
          if (state.refuse) throw new GateError('limit', 'session.limit', 'no more');
          state.leases += 1;
          return {
            session: {
              open: () => {},
              attach: (port, take) => {
                takers.set(JSON.stringify(key), take);
                let attached = true;
                return {
                  port,
                  get attached() {
                    return attached;
                  },
                  ready: async () => {
                    if (!state.ready) throw new GateError('session-lost', 'test', 'no session');
                  },
                  send: (to, toPort, payload) => {
                    if (state.outcome === 'sent')
                      sent.push({ key, to: to.b32, port: toPort, payload: payload.toString() });
                    return attached ? state.outcome : 'not-ready';
                  },
                  detach: () => {
                    attached = false;
                  },
                };
              },
            },
            release: () => {
              state.leases -= 1;
            },
          };
        },
      },
      resolver: {
        resolve: async (host) => {
          await state.answered;
          const found = names.get(host);
          if (host === 'defect.i2p') throw new TypeError('x is not a function');
          if (found === undefined) throw new GateError('name-unknown', 'test', 'unknown');
          return found;
        },
      },
      peers: createPeerTable([peerSettings(peer, isOnionCat)], addressesOf(own.b32)),
      own: addressesOf(own.b32),
      vpn: withTun ? vpn : undefined,
      clock,
      log: { ...silentLogger, error: (text) => void defects.push(text) },
    },
    settings: { rate, queueBytes: 10_000, source: 'address' },
    counts,
    access: accessWith(),
    asker: GATEWAY,
    meaningOf: (target) => target,
    mappedName: () => undefined,
    sessionFor: () => GATEWAY,
    oneSession: true,
    wantedPort: 4000,
    toClient: (bytes) => {
      toClient.push(bytes);
      return 'received';
    },
    ...parts,
  });
  return {
    association,
    clock,
    defects,
    names,
    own,
    peer,
    sent,
    state,
    toClient,
    vpn,
    counts: () => Object.fromEntries(Object.entries(counts.snapshot()).filter(([, count]) => count > 0)),
    /** A datagram comes to the session with this key. */
    arrive: (sender: Destination, text: string, from = 0, key: SessionKey = GATEWAY) => {
      const take = takers.get(JSON.stringify(key)) ?? assert.fail('there is no such session');
      take({ sender, ports: { from, to: 0 }, payload: Buffer.from(text) });
    },
  };
}
