/**
 * A SAM bridge that is not one: real sockets on loopback, the manners of one of three routers, any misbehaviour that a test
 * asks for, and no I2P. All bridges on one FakeNetwork reach each other. It carries streams and repliable datagrams.
 */
import { createServer, type Server } from 'node:net';
import { systemClock } from '../../../src/io/clock.ts';
import type { Clock } from '../../../src/kit/clock.ts';
import type { B32 } from '../../../src/wire/i2p/destination.ts';
import type { Decide, Rule } from './faults.ts';
import type { FakeNetwork } from './network.ts';
import { type LoggedCommand, Router } from './router.ts';
import { TEMPERAMENTS, type TemperamentName, type Timing } from './temperament.ts';

export interface FakeBridgeOptions {
  readonly network: FakeNetwork;
  readonly temperament: TemperamentName;
  /** For all that takes time in a router; the real one by default. */
  readonly clock?: Clock;
  /** By default sessions and look-ups are answered at once, and everything else takes as long as recorded. */
  readonly timing?: Partial<Timing> | 'as recorded';
}

export interface SessionView {
  readonly id: string;
  readonly style: string;
  readonly b32: B32;
  /** The public destination in base64. */
  readonly destination: string;
  /** What SESSION CREATE named besides style, ID and keys. */
  readonly options: Readonly<Record<string, string>>;
  /** STREAM ACCEPTs that wait. */
  readonly armed: number;
}

const PROMPT = { sessionMs: 0, lookupMs: 0 };

export class FakeBridge {
  readonly #router: Router;
  #server: Server | undefined;
  #port = 0;

  private constructor({ network, temperament: name, clock = systemClock, timing = {} }: FakeBridgeOptions) {
    const temperament = TEMPERAMENTS[name];
    const { recordedTiming } = temperament;
    this.#router = new Router({
      network,
      temperament,
      clock,
      timing: timing === 'as recorded' ? recordedTiming : { ...recordedTiming, ...PROMPT, ...timing },
      onCrash: () => void this.stop(),
    });
  }

  static async start(options: FakeBridgeOptions): Promise<FakeBridge> {
    const bridge = new FakeBridge(options);
    await bridge.#listen();
    return bridge;
  }

  /** Stays the same over a restart. */
  get address(): { readonly host: string; readonly port: number } {
    return { host: '127.0.0.1', port: this.#port };
  }

  /** Where it takes datagrams over UDP, on the same host. Stays the same over a restart. */
  get udpPort(): number {
    return this.#router.datagrams.port;
  }

  /** Nobody listens at its UDP port any more, as on a bridge that serves TCP alone. */
  closeUdp(): Promise<void> {
    return this.#router.datagrams.close();
  }

  get running(): boolean {
    return this.#server !== undefined;
  }

  /** Everything ends as when the router is killed. Idempotent; nothing stays open. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const closed = server === undefined ? undefined : new Promise((resolve) => server.close(resolve));
    await this.#router.stop();
    await closed;
  }

  /** Stops it if it runs, and starts it again without any session, at the same address and with the same rules. */
  async restart(): Promise<void> {
    await this.stop();
    await this.#listen();
  }

  /** Asks `decide` about every line from now on; who was added first decides first. */
  onCommand(decide: Decide): void {
    this.#router.faults.add(decide);
  }

  misbehave(...rules: readonly Rule[]): void {
    for (const rule of rules) this.#router.faults.addRule(rule);
  }

  /** Forgets all rules. */
  behave(): void {
    this.#router.faults.clear();
  }

  /** Sends a line, such as a PING, on the control connection of a session. */
  say(session: string, line: string): void {
    this.#session(session).control.say(`${line}\n`);
  }

  /** Ends a session as the router does it by itself. */
  dropSession(session: string): void {
    this.#router.closeSession(this.#session(session));
  }

  get sessions(): readonly SessionView[] {
    return [...this.#router.sessions.values()].map(({ request, armed }) => ({
      id: request.id,
      style: request.style,
      b32: request.destination.b32,
      destination: request.destination.base64,
      options: request.options,
      armed,
    }));
  }

  /** Every line that clients sent, in order, without their keys. */
  get commands(): readonly LoggedCommand[] {
    return this.#router.commands;
  }

  /** Connections ever made. */
  get connections(): number {
    return this.#router.count;
  }

  /** Connections of which at least one direction is open. */
  get openSockets(): number {
    return this.#router.connections.size;
  }

  #session(id: string) {
    const session = this.#router.sessions.get(id);
    if (session === undefined) throw new Error(`the fake bridge has no session ${id}`);
    return session;
  }

  async #listen(): Promise<void> {
    await this.#router.datagrams.listen();
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#router.adopt(socket, { kind: 'new' }));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', () => {
        const address = server.address();
        if (address !== null && typeof address === 'object') this.#port = address.port;
        this.#server = server;
        resolve();
      });
    });
  }
}
