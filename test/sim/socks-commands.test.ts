/** What SOCKS clients can ask for besides a plain CONNECT, with whole gateways on a bridge with the manners of each router. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { addressesOf, formatAddress } from '../../src/wire/i2p/address.ts';
import { type B32, parseB32 } from '../../src/wire/i2p/destination.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { until } from '../helpers/until.ts';
import { type RunningGateway, startGateway } from './gateway-kit.ts';
import { type RawPeer, rawPeer } from './raw-peer.ts';
import { App, byAddress, byName } from './socks-app.ts';

const RESOLVE = 0xf0;
const RESOLVE_PTR = 0xf1;
const CONNECT = 0x01;
const BIND = 0x02;

for (const temperament of ['i2pd-2.45', 'i2pd-2.59', 'java'] as const) {
  describe(`SOCKS clients on ${temperament}`, () => {
    let bridge: FakeBridge;
    let gateway: RunningGateway;
    let stranger: RawPeer;
    let open: Socket[];

    beforeEach(async () => {
      const network = new FakeNetwork();
      bridge = await FakeBridge.start({ network, temperament });
      stranger = await rawPeer(bridge);
      network.addressBook.set('stranger.i2p', stranger.keys.destination.base64);
      gateway = await startGateway({ bridge });
      open = [];
      await until('the gateway accepts', () => gateway.gateway.accepting.armed > 0);
    });

    afterEach(async () => {
      for (const socket of open) socket.destroy();
      stranger.close();
      await gateway.stop();
      await bridge.stop();
    });

    /** A client that has said who it is. */
    const client = async (user?: string): Promise<App> => {
      const app = new App(gateway.socksPort);
      const { socket } = app;
      open.push(socket);
      if (user === undefined) {
        socket.write(Buffer.of(5, 1, 0));
        await app.take(2);
      } else {
        socket.write(Buffer.concat([Buffer.of(5, 1, 2, 1, user.length), Buffer.from(user), Buffer.of(0)]));
        await app.take(4);
      }
      return app;
    };

    it('a name becomes an address, the address a name again, and a connection to it the right one', async () => {
      const { oc } = addressesOf(stranger.b32);
      const asking = await client();
      asking.request(RESOLVE, byName('stranger.i2p'));
      assert.deepEqual(await asking.take(22), Buffer.concat([Buffer.of(5, 0, 0, 4), oc, Buffer.of(0, 0)]));
      const back = await client();
      back.request(RESOLVE_PTR, byAddress(oc));
      assert.equal((await back.take(5 + 12 + 2)).toString('latin1', 5, 17), 'stranger.i2p');

      const accepted = stranger.accept();
      const connecting = await client();
      connecting.request(CONNECT, byAddress(oc), 80);
      connecting.socket.write('hello');
      assert.equal((await connecting.take(22))[1], 0);
      assert.equal((await accepted).from.b32, gateway.b32);

      const other = await client('anna');
      other.request(CONNECT, byAddress(oc), 80);
      assert.equal((await other.take(22))[1], 4, `${formatAddress(oc)} was told to nobody with credentials`);
    });

    for (const user of [undefined, 'anna'] as const) {
      const who = user === undefined ? 'the gateway itself' : 'an identity of its own';
      it(`a stream is awaited on ${who}, and comes from whom it was named for only`, { timeout: 60_000 }, async () => {
        const app = await client(user);
        app.request(BIND, byName('stranger.i2p'), 21);
        const first = await app.take(22);
        assert.deepEqual([...first.subarray(0, 4), ...first.subarray(20)], [5, 0, 0, 4, 0, 21]);
        const own = await nameBehind(first.subarray(4, 20), user);
        assert.equal(own === gateway.b32, user === undefined);

        const intruder = await rawPeer(bridge);
        const refused = await intruder.connect(own);
        refused.on('error', () => {});
        refused.write('let me in');
        refused.resume();
        await until('the intruder is refused', () => gateway.gateway.inbound.counters().refusedStranger === 1);
        intruder.close();

        // Java I2P refuses a stream that comes while an accept is armed again.
        let stream = await stranger.connect(own, 21).catch(() => undefined);
        for (; stream === undefined; stream = await stranger.connect(own, 21).catch(() => undefined));
        stream.write('hello');
        const second = await app.take(22 + 5);
        const { oc } = addressesOf(stranger.b32);
        assert.deepEqual(second.subarray(0, 20), Buffer.concat([Buffer.of(5, 0, 0, 4), oc]));
        assert.equal(second.toString('latin1', 22), 'hello');
        app.socket.write('good day');
        const heard = await new Promise<Buffer>((resolve) => stream.once('data', resolve).resume());
        assert.equal(String(heard), 'good day');
      });
    }

    const nameBehind = async (address: Buffer, user: string | undefined): Promise<B32> => {
      const asking = await client(user);
      asking.request(RESOLVE_PTR, byAddress(address));
      const reply = await asking.take(5 + 60 + 2);
      assert.deepEqual([...reply.subarray(0, 5)], [5, 0, 0, 3, 60]);
      return parseB32(reply.toString('latin1', 5, 5 + 52));
    };
  });
}

describe('where as many streams are joined as may be', () => {
  it('a client is told so instead of success, and has its stream when there is a place again', async () => {
    const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45' });
    const service = await rawPeer(bridge);
    const gateway = await startGateway({ bridge, vpn: false, config: '[limits]\nstreams = 1' });
    const sockets: Socket[] = [];
    const connected = async (): Promise<{ readonly code: number | undefined; readonly app: App }> => {
      const accepted = service.accept();
      const app = new App(gateway.socksPort);
      sockets.push(app.socket);
      app.socket.write(Buffer.of(5, 1, 0));
      await app.take(2);
      app.request(CONNECT, byName(`${service.b32}.b32.i2p`), 80);
      const [, code] = await app.take(10);
      (await accepted).stream.resume().on('error', () => {});
      return { code, app };
    };
    const first = await connected();
    const second = await connected();
    assert.deepEqual([first.code, second.code], [0, 1]);
    const { relay, socks } = gateway.gateway;
    assert.deepEqual([relay.active, relay.counters().refusedLimit], [1, 1]);
    assert.equal(socks[0]?.snapshot().counts.dialFailed, 1);
    first.app.socket.resetAndDestroy();
    await until('there is a place', () => relay.active === 0);
    assert.equal((await connected()).code, 0);
    for (const socket of sockets) socket.destroy();
    service.close();
    await gateway.stop();
    await bridge.stop();
  });
});
