/**
 * The clock on the wall is set while the gateway runs: by a day ahead, a day back, and to the true time again. Only the time
 * of day in its log may tell.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { SocksClient } from 'socks';
import { wallClock } from '../../scripts/lab/wall-clock.ts';
import { generateKeys } from '../../src/io/key-generate.ts';
import { addressesOf, formatAddress } from '../../src/wire/i2p/address.ts';
import { encodeKeepalive } from '../../src/wire/packet/keepalive.ts';
import { type Daemon, startDaemon } from '../helpers/daemon.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { until } from '../helpers/until.ts';
import { rawPeer } from '../sim/raw-peer.ts';
import { datagram, listener } from './hostile-kit.ts';
import { declareScenarios } from './namespace.ts';

const DAY_S = 86_400;
/** How exactly a second here is a second there. */
const SPARE_S = 5;

/** Lets it write a line to its log. @returns by how much the time in that is ahead of ours, in seconds */
async function aheadBy(daemon: Daemon): Promise<number> {
  const known = daemon.said().length;
  await refuse(daemon);
  const times = () =>
    daemon
      .said()
      .slice(known)
      .match(/(?<="time":")[^"]+/g) ?? [];
  await until('the log has a line', () => times().length > 0);
  return (Date.parse(times().at(-1) ?? '') - Date.now()) / 1_000;
}

/** A name that is not of I2P. */
async function refuse({ socksPort }: Daemon): Promise<void> {
  const proxy = { host: '127.0.0.1', port: socksPort, type: 5 as const };
  const destination = { host: 'www.example.com', port: 80 };
  await assert.rejects(SocksClient.createConnection({ proxy, command: 'connect', destination }));
}

async function comesBack(socket: Socket, text: string): Promise<void> {
  const answer = once(socket, 'data');
  socket.write(text);
  assert.equal(String(await answer), text);
}

await declareScenarios(import.meta.filename, {
  'a clock that is set a day ahead, a day back and right again changes nothing but the time in the log': {
    longestMs: 60_000,
    run: async () => {
      const clock = wallClock();
      const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45' });
      const [peer, service] = [await rawPeer(bridge), await rawPeer(bridge)];
      const keys = generateKeys();
      const own = addressesOf(keys.destination.b32);
      const startedAt = performance.now();
      const daemon = await startDaemon({
        bridge: bridge.address,
        vpn: true,
        keys,
        wrapper: clock.wrapper,
        config: [
          '[log]\nlevel = "debug"',
          `[[peer]]\nname = "p"\ndestination = "${peer.b32}.b32.i2p"\nconnect = "demand"\nallow = ["all"]`,
        ].join('\n'),
      });
      await until('a stream can come', async () => (await daemon.status()).inbound.armed > 0);
      const stream = await peer.connect(keys.destination.b32);
      const announcement = { wantsAnswer: false, knowsFlows: true };
      const envelope = { source: peer.addresses.oc, destination: own.oc, flowLabel: 1, name: peer.b32, announcement };
      stream.resume().write(encodeKeepalive(envelope));
      const { heard, socket: hearing } = await listener(formatAddress(own.oc));

      const accepted = service.accept();
      const proxy = { host: '127.0.0.1', port: daemon.socksPort, type: 5 as const };
      const destination = { host: `${service.b32}.b32.i2p`, port: 80 };
      const { socket: client } = await SocksClient.createConnection({ proxy, command: 'connect', destination });
      const served = (await accepted).stream;
      served.pipe(served);

      for (const offset of [DAY_S, -DAY_S, 0]) {
        clock.set(offset);
        await until('the gateway sees it', async () => Math.abs((await aheadBy(daemon)) - offset) < SPARE_S);
        stream.write(datagram(peer.addresses.oc, own.oc, `at ${offset}`));
        await until('a packet comes', () => heard.some((line) => line.endsWith(` at ${offset}`)));
        await comesBack(client, `at ${offset}`);
        const { uptimeSeconds, sessions, peers, health } = await daemon.status();
        const upFor = (performance.now() - startedAt) / 1_000;
        assert.ok(uptimeSeconds <= upFor && uptimeSeconds > upFor - SPARE_S, `${uptimeSeconds} of ${upFor} s`);
        assert.deepEqual([sessions.map(({ state }) => state), peers[0]?.state, health], [['ready'], 'up', []]);
        for (const { age } of [...sessions, ...peers]) assert.ok(age <= upFor, `${age} of ${upFor} s`);
      }
      assert.equal(stream.destroyed, false);

      hearing.close();
      client.destroy();
      peer.close();
      service.close();
      await daemon.stop();
      await bridge.stop();
      clock.remove();
    },
  },
});
