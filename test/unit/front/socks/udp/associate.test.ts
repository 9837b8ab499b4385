/** What an association takes, and that it is given back however the client goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPeerTable } from '../../../../../src/core/peers/table.ts';
import type { UdpPort, UdpSocket } from '../../../../../src/core/ports.ts';
import { type IsolationFact, USUAL_ISOLATION } from '../../../../../src/front/socks/isolation.ts';
import { createSocksServer } from '../../../../../src/front/socks/server.ts';
import { UDP_COUNTERS } from '../../../../../src/front/socks/udp/counters.ts';
import { GateError } from '../../../../../src/kit/errors.ts';
import { silentLogger } from '../../../../../src/kit/log.ts';
import { Slots } from '../../../../../src/kit/slots.ts';
import { createTally } from '../../../../../src/kit/tally.ts';
import { addressesOf } from '../../../../../src/wire/i2p/address.ts';
import { FakeUdp } from '../../../../helpers/fake-udp.ts';
import { udpHeader } from '../../../../helpers/udp-client.ts';
import { hex, spaced } from '../../../wire/socks/feed.ts';
import { fakeParts, settle } from '../fakes.ts';
import { attachment, newDestination } from './fakes.ts';

const ORIGIN = { address: '127.0.0.1', localAddress: '127.0.0.1' };
const REQUEST = '05 01 00 05 03 00 01 00 00 00 00 00 00';

/**
 * @param bind how a socket towards the client is had
 * @param isolate what keeps requests apart
 */
async function setUp(bind?: UdpPort['bind'], isolate: readonly IsolationFact[] = ['credentials']) {
  const parts = fakeParts();
  const udp = new FakeUdp();
  const slots = new Slots(1);
  const own = addressesOf(newDestination().b32);
  let leases = 0;
  /** The I2P ports that were wanted, one for each session. */
  const wanted: number[] = [];
  const sessions = {
    lease: () => {
      leases += 1;
      const attach = (port: number) => {
        wanted.push(port);
        return attachment();
      };
      return {
        session: { attach, open: () => {} },
        release: () => {
          leases -= 1;
        },
      };
    },
  };
  const { clock, names } = parts;
  const server = createSocksServer(
    {
      ...parts,
      udp: {
        environment: {
          sessions,
          resolver: { resolve: async (host) => (host.includes('.b32.') ? newDestination() : nobody()) },
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
    },
    { isolation: { ...USUAL_ISOLATION, isolate: new Set(isolate) } },
  );
  await server.start(new AbortController().signal);
  const associate = (request = REQUEST) => {
    const app = parts.listener.connect(ORIGIN);
    app.stream.write(hex(request));
    return app;
  };
  const taken = () => ({ slots: slots.taken, sockets: udp.bound.size, leases, clients: server.snapshot().clients });
  return { associate, clock, server, taken, udp, wanted };
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

const FROM_4660 = '05 01 00 05 03 00 01 00 00 00 00 12 34';

for (const [isolate, ports] of [
  [['credentials'], [4660]],
  [['destination'], [0, 0]],
  [['port'], [0, 0]],
] as const) {
  test(`isolated by ${isolate}, the announced port is that of ${ports[0] === 0 ? 'no session' : 'the one session'}`, async () => {
    const { associate, taken, udp, wanted } = await setUp(undefined, isolate);
    const app = associate(FROM_4660);
    await settle();
    const [{ take } = assert.fail('no socket')] = udp.bound;
    for (const [index, port] of [80, 81].entries()) {
      const host = `${'ab'[index]?.repeat(51)}q.b32.i2p`;
      take(Buffer.concat([udpHeader(host, port), Buffer.from('hello')]), { address: '127.0.0.1', port: 4660 });
    }
    await settle();
    assert.deepEqual(wanted, ports);
    app.stream.end();
    await settle();
    assert.deepEqual(taken(), NOTHING);
  });
}
