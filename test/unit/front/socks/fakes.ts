/** The world of a SOCKS client in memory: a pair of streams, a clock, and a dialer and a relay that do as they are told. */
import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import type { Dialer, DialOptions, DialTarget, RelayEnd } from '../../../../src/core/dial/target.ts';
import type { Arrival, Binder, BindOptions, Bound } from '../../../../src/core/inbound/binder.ts';
import { type AddressNames, createAddressNames } from '../../../../src/core/naming/addresses.ts';
import { createPeerTable } from '../../../../src/core/peers/table.ts';
import type { ClientOrigin, ListenerPort } from '../../../../src/core/ports.ts';
import type { Join, Relay, RelayOptions, RelayReport, ReservedSlot } from '../../../../src/core/relay/report.ts';
import { type Access, type AccessLists, createAccess } from '../../../../src/front/socks/access.ts';
import type { Authenticate } from '../../../../src/front/socks/authentication.ts';
import { createSocksServer, type SocksServer, type SocksServerOptions } from '../../../../src/front/socks/server.ts';
import type { Clock } from '../../../../src/kit/clock.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { silentLogger } from '../../../../src/kit/log.ts';
import { addressesOf } from '../../../../src/wire/i2p/address.ts';
import type { Destination } from '../../../../src/wire/i2p/destination.ts';
import { duplexPair } from '../../../helpers/duplex.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { destination } from '../../core/support.ts';
import { hex } from '../../wire/socks/feed.ts';

/** Destinations of the fake world: the gateway's own, that of its one peer, and two services of others. */
export const OWN = destination(1);
export const PEER = destination(2);
export const SERVICE = destination(3);
export const OTHER_SERVICE = destination(4);
const KNOWN_NAMES = new Map([
  ['service.i2p', SERVICE],
  ['other.i2p', OTHER_SERVICE],
]);

/** Lets everything happen that needs no time to pass: each hop between two streams takes a few turns of the event loop. */
export async function settle(): Promise<void> {
  for (let count = 0; count < 20; count += 1) await turn();
}

/** Lists that refuse nothing but what is given, for a gateway without peers. */
export function accessWith(lists: Partial<AccessLists> = {}): Access {
  const all = { allow: [], deny: [] };
  const nobody = () => undefined;
  const peers = { byAddress: nobody, byB32: nobody, byName: nobody };
  return createAccess({ clients: all, destinations: all, ports: all, ...lists }, peers);
}

/** The client program's end of a connection. */
export interface App {
  readonly stream: Duplex;
  /** The other end, as the server has it. */
  readonly served: Duplex;
  /** Everything received so far. */
  received(): Buffer;
  readonly ended: boolean;
}

function connection(): App {
  const { left: stream, right: served } = duplexPair();
  const chunks: Buffer[] = [];
  let ended = false;
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => {
    ended = true;
  });
  return {
    stream,
    served,
    received: () => Buffer.concat(chunks),
    get ended() {
      return ended;
    },
  };
}

export interface Dial {
  readonly target: DialTarget;
  readonly options: DialOptions;
  /** Succeeds; gives the service's end of the stream. */
  succeed(): App;
  fail(error: unknown): void;
}

export interface FakeDialer extends Pick<Dialer, 'dial'> {
  readonly dials: readonly Dial[];
  /** The only dial there was. */
  only(): Dial;
}

/** @param heedsSignal false for a dialer that does not notice that nobody waits any more */
export function fakeDialer(heedsSignal = true): FakeDialer {
  const dials: Dial[] = [];
  return {
    dials,
    only: () => {
      assert.equal(dials.length, 1);
      const [dial] = dials;
      assert.ok(dial);
      return dial;
    },
    dial: (target, options) =>
      new Promise<RelayEnd>((resolve, reject) => {
        if (heedsSignal) options.signal.addEventListener('abort', () => reject(options.signal.reason));
        dials.push({
          target,
          options,
          succeed: () => {
            const service = connection();
            resolve({ stream: service.served, halfClose: false });
            return service;
          },
          fail: reject,
        });
      }),
  };
}

/** Names that the router knows, as the addresses that stand for them; everything else is unknown to it. */
function fakeNames(known: ReadonlyMap<string, Destination>, clock: Clock): AddressNames {
  return createAddressNames({
    resolver: {
      resolve: async (host) => {
        const destination = known.get(host);
        if (destination === undefined) throw new GateError('name-unknown', 'test', 'of the test');
        return destination;
      },
    },
    peers: createPeerTable(
      [
        {
          name: 'peer',
          b32: PEER.b32,
          destination: undefined,
          connect: 'always',
          onionCat: undefined,
          routes: [],
          allow: [],
        },
      ],
      addressesOf(OWN.b32),
    ),
    own: OWN.b32,
    clock,
  });
}

/** What a client awaits, and how the test ends the waiting. */
export interface Awaited {
  readonly options: BindOptions;
  /** The stream can come now. */
  open(me: Destination, port: number): void;
  fail(error: unknown): void;
  /** Somebody comes; gives his end of the stream. */
  arrives(from: Destination, fromPort?: number): App;
  lose(error: GateError): void;
  readonly closed: boolean;
}

export interface FakeBinder extends Pick<Binder, 'bind'> {
  readonly all: readonly Awaited[];
  /** False for one that does not notice that nobody waits for a stream any more. */
  heedsSignal: boolean;
  /** The only one there was. */
  only(): Awaited;
}

function fakeBinder(): FakeBinder {
  const all: Awaited[] = [];
  const binder: FakeBinder = {
    all,
    heedsSignal: true,
    only: () => {
      assert.equal(all.length, 1);
      return all[0] ?? assert.fail();
    },
    bind: (options) =>
      new Promise<Bound>((resolve, reject) => {
        options.signal.addEventListener('abort', () => reject(options.signal.reason));
        let closed = false;
        let arrive: (arrival: Arrival) => void = () => {};
        let lose: (error: unknown) => void = () => {};
        all.push({
          options,
          fail: reject,
          open: (me, port) =>
            resolve({
              me,
              port,
              arrival: (signal) =>
                new Promise((have, fail) => {
                  arrive = have;
                  lose = fail;
                  signal.addEventListener('abort', () => {
                    if (binder.heedsSignal) fail(signal.reason);
                  });
                }),
              close: () => {
                closed = true;
              },
            }),
          arrives: (from, fromPort) => {
            const stranger = connection();
            arrive({ end: { stream: stranger.served, halfClose: false }, from, fromPort });
            return stranger;
          },
          lose: (error) => lose(error),
          get closed() {
            return closed;
          },
        });
      }),
  };
  return binder;
}

export interface FakeRelay extends Relay {
  /** There is no place for one more pair. */
  isFull: boolean;
  readonly joins: ReadonlyArray<{ readonly near: RelayEnd; readonly far: RelayEnd; readonly options: RelayOptions }>;
}

/** Moves bytes both ways; over when either side closes or it is cancelled. */
function fakeRelay(): FakeRelay {
  const joins: Array<{ near: RelayEnd; far: RelayEnd; options: RelayOptions }> = [];
  const join: Join = (near, far, options) =>
    new Promise<RelayReport>((resolve) => {
      joins.push({ near, far, options });
      near.stream.pipe(far.stream);
      far.stream.pipe(near.stream);
      const over = (ended: RelayReport['ended']) => {
        near.stream.destroy();
        far.stream.destroy();
        resolve({ ended });
      };
      near.stream.once('close', () => over('both-finished'));
      far.stream.once('close', () => over('both-finished'));
      options.signal.addEventListener('abort', () => over('cancelled'));
    });
  const place: ReservedSlot = { join, leave: () => {} };
  const relay: FakeRelay = { joins, isFull: false, join, reserve: () => (relay.isFull ? undefined : place) };
  return relay;
}

export interface FakeListener extends ListenerPort {
  connect(origin?: ClientOrigin): App;
  readonly closed: boolean;
}

export function fakeListener(where = '127.0.0.1:9160'): FakeListener {
  let take: ((client: Duplex, origin: ClientOrigin) => void) | undefined;
  let closed = false;
  return {
    where,
    accept: (taker) => {
      take = taker;
    },
    close: async () => {
      closed = true;
    },
    get closed() {
      return closed;
    },
    connect: (origin = { address: '127.0.0.1' }) => {
      const app = connection();
      assert.ok(take, 'the server does not accept yet');
      take(app.served, origin);
      return app;
    },
  };
}

export interface World {
  readonly server: SocksServer;
  readonly listener: FakeListener;
  readonly dialer: FakeDialer;
  readonly binder: FakeBinder;
  readonly relay: FakeRelay;
  readonly clock: FakeClock;
  /** The counters that are not zero. */
  counts(): Readonly<Record<string, number>>;
}

/** All that a server is made of, each as fake as can be. */
export function fakeParts() {
  const clock = new FakeClock();
  const [listener, dialer, binder, relay] = [fakeListener(), fakeDialer(), fakeBinder(), fakeRelay()];
  return {
    listener,
    access: accessWith(),
    dialer,
    binder,
    names: fakeNames(KNOWN_NAMES, clock),
    relay,
    clock,
    log: silentLogger,
  };
}

export async function world(
  options: Partial<SocksServerOptions> = {},
  dialer = fakeDialer(),
  access = accessWith(),
  authenticate?: Authenticate,
): Promise<World> {
  const parts = { ...fakeParts(), dialer, access, authenticate };
  const { listener, binder, relay, clock } = parts;
  const server = createSocksServer(parts, options);
  await server.start(new AbortController().signal);
  return {
    server,
    listener,
    dialer,
    binder,
    relay,
    clock,
    counts: () => Object.fromEntries(Object.entries(server.snapshot().counts).filter(([, count]) => count > 0)),
  };
}

/** What clients send to ask for a name or an address, and how the replies to it begin and how long they are. */
export const DIALECTS = {
  SOCKS4a: {
    ask: (name: string) => Buffer.concat([hex('04 01 00 50 00 00 00 01 00'), Buffer.from(`${name}\0`, 'latin1')]),
    greeting: '',
    reply: (code: string) => `00 ${code === '00' ? '5a' : '5b'} 00 00 00 00 00 00`,
  },
  SOCKS5: {
    ask: (name: string) =>
      Buffer.concat([hex('05 01 00 05 01 00 03'), Buffer.of(name.length), Buffer.from(name, 'latin1'), hex('00 50')]),
    greeting: '05 00 ',
    reply: (code: string) => `05 ${code} 00 01 00 00 00 00 00 00`,
  },
  'SOCKS5 with credentials': {
    ask: (name: string) =>
      Buffer.concat([
        hex('05 02 00 02 01 01 75 01 70 05 01 00 03'),
        Buffer.of(name.length),
        Buffer.from(name, 'latin1'),
        hex('00 50'),
      ]),
    greeting: '05 02 01 00 ',
    reply: (code: string) => `05 ${code} 00 01 00 00 00 00 00 00`,
  },
} as const;
