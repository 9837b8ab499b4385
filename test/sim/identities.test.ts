/**
 * Whom a service sees: a whole gateway with several SOCKS listeners on a fake router, real SOCKS clients, and a destination
 * elsewhere that tells under which one it was called.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { SocksClient } from 'socks';
import { formatAddress } from '../../src/wire/i2p/address.ts';
import { formatPasswordHash, hashPassword } from '../../src/wire/socks/password-hash.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { UdpClient } from '../helpers/udp-client.ts';
import { until } from '../helpers/until.ts';
import { generateKeys, type RunningGateway, startGateway } from './gateway-kit.ts';
import { type RawPeer, rawPeer } from './raw-peer.ts';

interface Credentials {
  readonly user: string;
  readonly password: string;
}

const ANN = { user: 'ann', password: 'secret' };
const BEN = { user: 'ben', password: 'secret' };

describe('a service sees', () => {
  let near: FakeBridge;
  let far: FakeBridge;
  let service: RawPeer;
  let gateway: RunningGateway;

  beforeEach(async () => {
    const network = new FakeNetwork();
    near = await FakeBridge.start({ network, temperament: 'i2pd-2.45' });
    far = await FakeBridge.start({ network, temperament: 'i2pd-2.45' });
    service = await rawPeer(far);
  });
  afterEach(async () => {
    await gateway.stop();
    service.close();
    await near.stop();
    await far.stop();
  });

  /** @param config keys of the first listener, then whatever tables there shall be */
  const start = async (config: string, more: Partial<Parameters<typeof startGateway>[0]> = {}) => {
    gateway = await startGateway({ bridge: near, vpn: false, config, ...more });
    await until('the gateway has its session', () =>
      gateway.gateway.sessions.list().every(({ session }) => session.state.kind === 'ready'),
    );
  };

  const connect = async (host: string, listener: number, credentials: Credentials | undefined, port = 80) => {
    const socksPort = Number(gateway.gateway.socks[listener]?.snapshot().where.split(':').at(-1));
    const { socket } = await SocksClient.createConnection({
      proxy: {
        host: '127.0.0.1',
        port: socksPort,
        type: 5,
        ...(credentials && { userId: credentials.user, password: credentials.password }),
      },
      command: 'connect',
      destination: { host, port },
    });
    socket.on('error', () => {});
    return socket;
  };

  /** The destination under which a client comes to a service. */
  const seen = async (
    listener: number,
    credentials?: Credentials,
    at: RawPeer = service,
    port?: number,
  ): Promise<string> => {
    const [{ from, stream }, socket] = await Promise.all([
      at.accept(),
      connect(`${at.b32}.b32.i2p`, listener, credentials, port),
    ]);
    stream.destroy();
    socket.destroy();
    return from.b32;
  };

  it('the gateway itself by default, and another one for each pair of credentials', async () => {
    await start('');
    const [none, ann, ben] = [await seen(0), await seen(0, ANN), await seen(0, BEN)];
    assert.equal(none, gateway.b32);
    assert.equal(new Set([none, ann, ben]).size, 3);
    assert.deepEqual([await seen(0, ANN), await seen(0, BEN), await seen(0)], [ann, ben, none]);
    // Empty ones are a pair like any other.
    assert.equal(new Set([none, ann, ben, await seen(0, { user: 'ann', password: 'Secret' })]).size, 4);
  });

  it('the gateway itself with credentials too, where it is a peer of it', async () => {
    await start('', { peers: [service.b32] });
    const [accepted, answered] = [service.accept(), connect(`${service.b32}.b32.i2p`, 0, ANN)];
    // It is no gateway and lets nobody in, so the client waits until ours stops.
    answered.catch(() => {});
    const { from, stream } = await accepted;
    stream.destroy();
    assert.equal(from.b32, gateway.b32);
    assert.equal(gateway.gateway.sessions.isolated().counts.opened, 0);
  });

  it('nothing of the gateway where the listener is isolated, and peers are not reached', async () => {
    const peer = generateKeys().destination.b32;
    const socks = 'identity = "isolated"\n[[socks]]\nlisten = "127.0.0.1:0"\n';
    await start(socks, { peers: [peer] });
    const [none, ann] = [await seen(0), await seen(0, ANN)];
    assert.equal(new Set([gateway.b32, none, ann]).size, 3);
    assert.deepEqual([await seen(0), await seen(0, ANN)], [none, ann]);
    assert.equal(await seen(1), gateway.b32, 'the other listener is another matter');
    for (const host of [`${peer}.b32.i2p`, formatAddress(gateway.addresses.oc)]) {
      await assert.rejects(connect(host, 0, undefined), /NotAllowed/);
    }
  });

  it('the named identity, from every listener that names it, and the same after a restart', async () => {
    const mail = generateKeys();
    const config = 'identity = "mail"\n[[socks]]\nlisten = "127.0.0.1:0"\nidentity = "mail"\n[identities.mail]\n';
    const identities = new Map([['mail', mail]]);
    await start(config, { identities });
    assert.deepEqual([await seen(0), await seen(1)], [mail.destination.b32, mail.destination.b32]);
    assert.notEqual(await seen(0, ANN), mail.destination.b32);
    await gateway.stop();
    await start(config, { identities });
    assert.equal(await seen(0), mail.destination.b32);
  });

  it('another one than the next service does, where destinations are kept apart', async () => {
    await start('identity = "isolated"\nisolate = ["destination"]');
    const other = await rawPeer(far);
    const [here, there] = [await seen(0, ANN), await seen(0, ANN, other)];
    assert.equal(new Set([gateway.b32, here, there]).size, 3);
    assert.deepEqual([await seen(0, BEN), await seen(0, undefined, other)], [here, there]);
    other.close();
  });

  it('another one at each port, where ports are kept apart', async () => {
    await start('identity = "isolated"\nisolate = ["port"]');
    const at = (port: number, credentials?: Credentials) => seen(0, credentials, service, port);
    const [here, there] = [await at(80), await at(81)];
    assert.equal(new Set([gateway.b32, here, there]).size, 3);
    assert.deepEqual([await at(80, ANN), await at(81, BEN)], [here, there]);
  });

  it('one that was built before anybody asked, where there are spare ones', async () => {
    await start('identity = "isolated"\nahead = 2');
    const spare = gateway.gateway.sessions.list().filter(({ kind }) => kind === 'spare');
    const ready = spare.map(({ session }) => (session.state.kind === 'ready' ? session.state.session.me.b32 : ''));
    assert.equal(ready.length, 2);
    const first = await seen(0);
    assert.ok(ready.some((b32) => b32 === first));
    const { counts, spare: left } = gateway.gateway.sessions.isolated();
    assert.deepEqual([counts.openedAhead, left], [1, 2]);
  });

  it('nobody whom the limit keeps out: a client is refused rather than given the identity of another', async () => {
    const limits = '[limits]\nisolated_sessions = 2\nisolated_at_limit = "refuse"';
    await start(limits);
    const [ann, ben] = [await seen(0, ANN), await seen(0, BEN)];
    await assert.rejects(connect(`${service.b32}.b32.i2p`, 0, { user: 'eve', password: '' }), /Failure/);
    assert.equal(gateway.gateway.sessions.isolated().counts.refusedAtLimit, 1);
    assert.deepEqual([await seen(0, ANN), await seen(0, BEN)], [ann, ben]);
  });

  it('nobody whom the limit keeps out of datagrams: an association is refused, and the one before keeps its name', async () => {
    await start('[limits]\ndatagram_sessions = 1\nisolated_at_limit = "refuse"');
    const where = { host: '127.0.0.1', port: gateway.socksPort };
    const first = await UdpClient.associate(where, ANN);
    first.close();
    const { datagrams } = gateway.gateway;
    await until('nobody uses its session', () => datagrams.snapshot().idle === 1);
    await assert.rejects(UdpClient.associate(where, BEN), /answered with 1/);
    const { atLimit, counts } = datagrams.snapshot();
    assert.deepEqual([atLimit, counts.retiredForRoom, counts.refusedAtLimit], ['refuse', 0, 1]);
    (await UdpClient.associate(where, ANN)).close();
  });

  it('users only, where there are users, each under a destination of their own', async () => {
    const hash = formatPasswordHash(await hashPassword(Buffer.from(ANN.password), randomBytes(16)));
    const log: string[] = [];
    await start(`users = ["ann:${hash}"]`, { log });
    const ann = await seen(0, ANN);
    assert.notEqual(ann, gateway.b32);
    assert.equal(await seen(0, ANN), ann);
    for (const other of [BEN, { user: 'ann', password: 'Secret' }, undefined]) {
      await assert.rejects(connect(`${service.b32}.b32.i2p`, 0, other));
    }
    assert.equal(gateway.gateway.socks[0]?.snapshot().counts.loginRefused, 3);
    assert.doesNotMatch(log.join('\n'), /\b(ann|ben|secret)\b/i);
  });

  it('no option of the tunnels that names the gateway: all identities ask for what the config says, and for nothing else', async () => {
    const [tunnels, own] = ['inbound = { length = 1, quantity = 2 }', 'outbound = { length = 2, quantity = 4 }'];
    const config = `identity = "mail"\nudp = true\n[[socks]]\nlisten = "127.0.0.1:0"\nidentity = "isolated"\n[socks.tunnels]\n${own}\n[identities.mail]\n[tunnels]\n${tunnels}\n`;
    await start(config, { identities: new Map([['mail', generateKeys()]]) });
    await seen(0, ANN);
    await seen(1, ANN);
    const association = await UdpClient.associate({ host: '127.0.0.1', port: gateway.socksPort }, BEN);
    await until('datagrams have their session', () => near.sessions.some(({ style }) => style === 'DATAGRAM'));
    const asked = near.sessions.map(({ style, options: { HOST, PORT, ...options } }) =>
      JSON.stringify({ style, options }),
    );
    association.close();
    const of = (style: string, inbound: readonly [number, number], outbound: readonly [number, number]) => {
      return JSON.stringify({
        style,
        options: {
          'inbound.length': `${inbound[0]}`,
          'inbound.quantity': `${inbound[1]}`,
          'outbound.length': `${outbound[0]}`,
          'outbound.quantity': `${outbound[1]}`,
          'i2cp.leaseSetEncType': '4',
        },
      });
    };
    const usual = of('STREAM', [1, 2], [3, 3]);
    // The gateway itself, the named one and a client's; a client of the listener with tunnels of its own; a client's datagrams.
    assert.deepEqual(
      asked.toSorted(),
      [of('DATAGRAM', [1, 2], [3, 3]), of('STREAM', [3, 3], [2, 4]), usual, usual, usual].toSorted(),
    );
  });
});
