/**
 * Fake routers with sessions and plain clients on them, as tests of the fake bridge itself want them: built in one line,
 * and all closed afterwards.
 */
import assert from 'node:assert/strict';
import { FakeBridge, type FakeBridgeOptions } from './fake-bridge/bridge.ts';
import { type FakeKeys, generateKeys } from './fake-bridge/keys.ts';
import { FakeNetwork } from './fake-bridge/network.ts';
import { SamClient } from './sam-client.ts';

export const OK = 'STREAM STATUS RESULT=OK';
export const I2PD = ['i2pd-2.45', 'i2pd-2.59'] as const;
export const ALL = [...I2PD, 'java'] as const;

interface WorldSession {
  readonly bridge: FakeBridge;
  readonly id: string;
  readonly keys: FakeKeys;
  /** The control connection. */
  readonly control: SamClient;
}

export class FakeWorld {
  readonly #clients = new Set<SamClient>();
  readonly #bridges = new Set<FakeBridge>();

  /** Closes everything, and sees to it that nothing stays open. */
  async clean(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    this.#clients.clear();
    for (const bridge of this.#bridges) {
      await bridge.stop();
      assert.equal(bridge.openSockets, 0);
    }
    this.#bridges.clear();
  }

  async startBridge(options: Partial<FakeBridgeOptions> = {}): Promise<FakeBridge> {
    const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45', ...options });
    this.#bridges.add(bridge);
    return bridge;
  }

  /** A client that has said HELLO. */
  async greet(bridge: FakeBridge): Promise<SamClient> {
    const client = new SamClient(bridge.address);
    this.#clients.add(client);
    assert.match(await client.ask('HELLO VERSION MIN=3.1 MAX=3.3'), /RESULT=OK/);
    return client;
  }

  async createSession(bridge: FakeBridge, id: string, keys: FakeKeys = generateKeys()): Promise<WorldSession> {
    const control = await this.greet(bridge);
    const reply = await control.ask(`SESSION CREATE STYLE=STREAM ID=${id} DESTINATION=${keys.blob} inbound.length=1`);
    assert.equal(reply, `SESSION STATUS RESULT=OK DESTINATION=${keys.blob}`);
    return { control, id, keys, bridge };
  }

  async accept({ bridge, id }: WorldSession): Promise<SamClient> {
    const client = await this.greet(bridge);
    assert.equal(await client.ask(`STREAM ACCEPT ID=${id}`), OK);
    return client;
  }

  /** @param patienceMs for the answer */
  async dial(
    from: WorldSession,
    to: WorldSession,
    patienceMs?: number,
  ): Promise<{ readonly client: SamClient; readonly reply: string }> {
    const client = await this.greet(from.bridge);
    const command = `STREAM CONNECT ID=${from.id} DESTINATION=${to.keys.destination.base64}`;
    return { client, reply: await client.ask(command, patienceMs) };
  }

  /** Two sessions on two routers of one network. */
  async twoSessions(options: Partial<FakeBridgeOptions> = {}) {
    const network = options.network ?? new FakeNetwork();
    const near = await this.startBridge({ ...options, network });
    const far = await this.startBridge({ ...options, network });
    return { network, near, far, a: await this.createSession(near, 'a'), b: await this.createSession(far, 'b') };
  }

  /** Two sessions, and a stream from the one to the other whose peer has been named. */
  async connected(options: Partial<FakeBridgeOptions> = {}) {
    const pair = await this.twoSessions(options);
    const acceptor = await this.accept(pair.b);
    const { client: connector, reply } = await this.dial(pair.a, pair.b);
    assert.equal(reply, OK);
    assert.equal((await acceptor.line()).split(' ')[0], pair.a.keys.destination.base64);
    return { ...pair, acceptor, connector };
  }
}
