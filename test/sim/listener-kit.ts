/**
 * One gateway that has a listener with the defaults and one more for each key that is tried, with the means to be a client of
 * any of them; time stands still for the gateway and its router until a test lets it go on.
 */
import assert from 'node:assert/strict';
import type { SocksStatus } from '../../src/front/socks/server.ts';
import type { B32 } from '../../src/wire/i2p/destination.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import type { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import { UdpClient } from '../helpers/udp-client.ts';
import { until } from '../helpers/until.ts';
import { type RunningGateway, startGateway } from './gateway-kit.ts';
import { type RawPeer, rawPeer } from './raw-peer.ts';
import { App } from './socks-app.ts';

/** A greeting that offers nothing but to do without credentials. */
export const NO_LOGIN = Buffer.of(5, 1, 0);

/** All that a client says until it is answered. */
export function request(command: number, host: Buffer): Buffer {
  return Buffer.concat([NO_LOGIN, Buffer.of(5, command, 0), host, Buffer.of(0, 80)]);
}

/** @template Key a line of the config, which is all that its listener has besides the defaults */
export class Listeners<Key extends string> {
  readonly clock: FakeClock;
  readonly bridge: FakeBridge;
  readonly gateway: RunningGateway;
  /** `service.i2p` */
  readonly service: RawPeer;
  readonly #keys: readonly Key[];
  readonly #apps: App[] = [];
  readonly #udpClients: UdpClient[] = [];

  private constructor(
    keys: readonly Key[],
    clock: FakeClock,
    bridge: FakeBridge,
    gateway: RunningGateway,
    service: RawPeer,
  ) {
    this.#keys = keys;
    this.clock = clock;
    this.bridge = bridge;
    this.gateway = gateway;
    this.service = service;
  }

  static async start<Key extends string>(network: FakeNetwork, keys: readonly Key[]): Promise<Listeners<Key>> {
    const clock = new FakeClock();
    // Of all routers it is Java I2P that brings the ports of datagrams along, by which their senders are told apart.
    const bridge = await FakeBridge.start({ network, temperament: 'java', clock });
    const service = await rawPeer(bridge);
    network.addressBook.set('service.i2p', service.keys.destination.base64);
    const config = keys.map((key) => `[[socks]]\nlisten = "127.0.0.1:0"\n${key}`).join('\n');
    const gateway = await startGateway({ bridge, clock, config });
    await until('the gateway accepts', () => gateway.gateway.accepting.armed > 0);
    return new Listeners(keys, clock, bridge, gateway, service);
  }

  /** @param key undefined for the listener with the defaults */
  statusOf(key?: Key): SocksStatus {
    const server = this.gateway.gateway.socks[key === undefined ? 0 : this.#keys.indexOf(key) + 1];
    assert.ok(server);
    return server.snapshot();
  }

  client(key?: Key, from?: string): App {
    const app = new App(this.#portOf(key), from);
    this.#apps.push(app);
    return app;
  }

  /** A client of the key's listener and one of the other, who asks first. Both have been greeted. */
  async both(key: Key, command: number, host: Buffer): Promise<{ readonly usual: App; readonly set: App }> {
    const [usual, set] = [this.client(), this.client(key)];
    for (const app of [usual, set]) {
      app.socket.write(request(command, host));
      await app.take(2);
    }
    return { usual, set };
  }

  /** Whether a client from this address is greeted; otherwise it is closed without a word. */
  async serves(key: Key | undefined, from: string): Promise<boolean> {
    const app = this.client(key, from);
    app.socket.write(NO_LOGIN);
    await until('it is greeted or closed', () => app.held > 0 || app.socket.closed);
    return app.held > 0;
  }

  async udpClient(key?: Key, credentials?: { readonly user: string; readonly password: string }): Promise<UdpClient> {
    const one = await UdpClient.associate({ host: '127.0.0.1', port: this.#portOf(key) }, credentials);
    this.#udpClients.push(one);
    return one;
  }

  /** A client whose credentials give it a destination of its own, so that it can be sent to from the gateway's. */
  async farClient(): Promise<{ readonly far: UdpClient; readonly b32: B32; readonly destination: string }> {
    const known = new Set(this.bridge.sessions.map(({ id }) => id));
    const find = () => this.bridge.sessions.find(({ id, style }) => style === 'DATAGRAM' && !known.has(id));
    const far = await this.udpClient(undefined, { user: `far${known.size}`, password: 'p' });
    await until('it has its session', () => find() !== undefined);
    const session = find();
    assert.ok(session);
    return { far, ...session };
  }

  /** All clients have gone, and the router does as it should. */
  async clear(): Promise<void> {
    this.bridge.behave();
    // An end alone would leave the streams of those that are joined standing.
    for (const { socket } of this.#apps.splice(0)) socket.resetAndDestroy();
    for (const client of this.#udpClients.splice(0)) client.close();
    await until('all have gone', () => this.gateway.gateway.socks.every((socks) => socks.snapshot().clients === 0));
  }

  async stop(): Promise<void> {
    this.service.close();
    await this.gateway.stop();
    await this.bridge.stop();
  }

  #portOf(key: Key | undefined): number {
    return Number(this.statusOf(key).where.split(':').at(-1));
  }
}
