/** What an association takes, and that it is given back however the client goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPeerTable } from '../../../../../src/core/peers/table.ts';
import type { UdpPort, UdpSocket } from '../../../../../src/core/ports.ts';
import { createSocksServer } from '../../../../../src/front/socks/server.ts';
import { UDP_COUNTERS } from '../../../../../src/front/socks/udp/counters.ts';
import { GateError } from '../../../../../src/kit/errors.ts';
import { silentLogger } from '../../../../../src/kit/log.ts';
import { Slots } from '../../../../../src/kit/slots.ts';
import { createTally } from '../../../../../src/kit/tally.ts';
import { addressesOf } from '../../../../../src/wire/i2p/address.ts';
import { FakeUdp } from '../../../../helpers/fake-udp.ts';
import { hex, spaced } from '../../../wire/socks/feed.ts';
import { fakeParts, settle } from '../fakes.ts';
import { attachment, newDestination } from './fakes.ts';

const ORIGIN = { address: '127.0.0.1', localAddress: '127.0.0.1' };
const REQUEST = '05 01 00 05 03 00 01 00 00 00 00 00 00';

/** @param bind how a socket towards the client is had */
async function setUp(bind?: UdpPort['bind']) {
  const parts = fakeParts();
  const udp = new FakeUdp();
  const slots = new Slots(1);
  const own = addressesOf(newDestination().b32);
  let leases = 0;
  const sessions = {
    lease: () => {
      leases += 1;
      return {
        session: { attach: attachment, open: () => {} },
        release: () => {
          leases -= 1;
        },
      };
    },
  };
  const { clock, names } = parts;
  const server = createSocksServer({
    ...parts,
    udp: {
      environment: {
        sessions,
        resolver: { resolve: nobody },
        peers: createPeerTable([], own),
        own,
        vpn: undefined,
        clock,
        log: silentLogger,
      },
      settings: { rate: 1000, queueBytes: 10_000, source: 'address' },
      sockets: { bind: bind ?? ((address, port) => udp.bind(address, port === 0 ? 40_000 : port)) },
      slots,
      counts: createTally(UDP_COUNTERS),
    },
    names,
  });
  await server.start(new AbortController().signal);
  const associate = () => {
    const app = parts.listener.connect(ORIGIN);
    app.stream.write(hex(REQUEST));
    return app;
  };
  const taken = () => ({ slots: slots.taken, sockets: udp.bound.size, leases, clients: server.snapshot().clients });
  return { associate, clock, server, taken, udp };
}

async function nobody(): Promise<never> {
  throw new GateError('name-unknown', 'test', 'of the test');
}

const NOTHING = { slots: 0, sockets: 0, leases: 0, clients: 0 };

test('stands as long as the connection of its client', async () => {
  const { associate, clock, taken } = await setUp();
  const app = associate();
  await settle();
  assert.equal(spaced(app.received()), '05 00 05 00 00 01 7f 00 00 01 9c 40');
  assert.deepEqual(taken(), { slots: 1, sockets: 1, leases: 1, clients: 1 });
  app.stream.end();
  await settle();
  assert.deepEqual([taken(), clock.pending], [NOTHING, 0]);
});

test('a client that leaves while its socket is being opened leaves nothing behind', async () => {
  let had: (socket: UdpSocket) => void = () => {};
  const opening = new Promise<UdpSocket>((resolve) => {
    had = resolve;
  });
  const { associate, clock, server, taken, udp } = await setUp(() => opening);
  const app = associate();
  await settle();
  app.stream.destroy();
  await settle();
  had(await udp.bind('127.0.0.1', 40_000));
  await settle();
  assert.deepEqual([taken(), clock.pending], [NOTHING, 0]);
  const { cancelled, associated } = server.snapshot().counts;
  assert.deepEqual([cancelled, associated], [1, 0]);
});

test('a socket that cannot be had is answered 01, and its place is free again', async () => {
  const refuse = async () => {
    throw new GateError('local-io', 'udp.failed', 'of the test');
  };
  const { associate, taken } = await setUp(refuse);
  const app = associate();
  await settle();
  assert.equal(spaced(app.received()), '05 00 05 01 00 01 00 00 00 00 00 00');
  app.stream.end();
  await settle();
  assert.deepEqual(taken(), NOTHING);
});
