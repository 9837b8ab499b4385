/** The state of one fake router: its sessions, its connections, and what it knows of the network. */
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../../src/kit/clock.ts';
import type { B32 } from '../../../src/wire/i2p/destination.ts';
import { masked } from './command.ts';
import { carryOut } from './commands.ts';
import { Connection, type ConnectionOwner, type Role } from './connection.ts';
import { DatagramPort } from './datagrams.ts';
import { Faults } from './faults.ts';
import { generateKeys } from './keys.ts';
import type { FakeNetwork } from './network.ts';
import type { FakeSession } from './session.ts';
import type { Temperament, Timing } from './temperament.ts';

export interface RouterOptions {
  readonly network: FakeNetwork;
  readonly temperament: Temperament;
  readonly timing: Timing;
  readonly clock: Clock;
  /** The router has died of one of its own bugs. */
  readonly onCrash: () => void;
}

export interface LoggedCommand {
  readonly connection: number;
  /** Private keys and passwords masked, without newline. */
  readonly line: string;
}

/** More than any test sends. */
const LOGGED = 10_000;

export class Router implements ConnectionOwner {
  readonly network: FakeNetwork;
  readonly temperament: Temperament;
  readonly timing: Timing;
  readonly clock: Clock;
  readonly faults = new Faults();
  readonly datagrams = new DatagramPort(this);
  readonly sessions = new Map<string, FakeSession>();
  readonly connections = new Set<Connection>();
  readonly commands: LoggedCommand[] = [];
  /** Whose lease sets this router holds. */
  readonly leaseSets = new Set<B32>();
  /** The router's own destination, which NAMING LOOKUP NAME=ME names where there is no session. */
  readonly own = generateKeys().destination;
  /** Destinations of sessions that have ended, which are still there. */
  readonly lingering = new Set<B32>();
  readonly #timers = new Set<Timer>();
  readonly #onCrash: () => void;
  /** Connections ever made. */
  count = 0;

  constructor({ network, temperament, timing, clock, onCrash }: RouterOptions) {
    this.network = network;
    this.temperament = temperament;
    this.timing = timing;
    this.clock = clock;
    this.#onCrash = onCrash;
  }

  /** Takes over a socket. */
  adopt(socket: Socket, role: Role): Connection {
    this.count += 1;
    const connection = new Connection(socket, this.count, role, this);
    this.connections.add(connection);
    socket.on('close', () => this.connections.delete(connection));
    return connection;
  }

  /** Runs `run` after `ms`, at once when that is zero, unless the router stops before. */
  after(ms: number, run: () => void): void {
    if (ms <= 0) {
      run();
      return;
    }
    const timer = this.clock.after(ms, () => {
      this.#timers.delete(timer);
      run();
    });
    this.#timers.add(timer);
  }

  onLine(line: string, connection: Connection): void {
    const { role } = connection;
    const known = masked(line);
    if (this.commands.length < LOGGED) this.commands.push({ connection: connection.number, line: known });
    const session = 'session' in role ? role.session.request.id : undefined;
    const action = this.faults.decide(known, { connection: connection.number, session });
    if (action === undefined || action.kind === 'answer') {
      connection.action = action;
      carryOut(this, connection, line);
    } else if (action.kind === 'instead') {
      connection.say(action.text, action);
    } else {
      connection.refuse(action);
    }
  }

  onEnd(connection: Connection, role: Role): void {
    switch (role.kind) {
      case 'stream':
        role.stream.ended(connection);
        return;
      case 'control':
        this.closeSession(role.session);
        break;
      case 'accept':
      case 'forward':
        role.session.withdraw(connection);
        break;
      case 'new':
      case 'greeted':
      case 'connecting':
      case 'deaf':
      case 'closed':
        break;
      default:
        role satisfies never;
    }
    connection.close();
  }

  closeSession(session: FakeSession): void {
    const { id, destination } = session.request;
    if (this.sessions.get(id) !== session) return;
    this.sessions.delete(id);
    this.network.withdraw(session);
    this.network.abandon(session, this.temperament.sessionClosed);
    session.end();
    session.control.close();
    if (this.temperament.sameKeyTwice === 'breaks') this.#breakTwins(destination.b32);
    if (this.temperament.keyOfEndedSession === 'lingers') this.#linger(destination.b32);
  }

  /** Everything that a dead process leaves behind: nothing, and silence at the other end of its streams. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    for (const session of this.sessions.values()) {
      this.network.withdraw(session);
      this.network.abandon(session, 'silence');
      session.end();
    }
    this.sessions.clear();
    this.lingering.clear();
    this.leaseSets.clear();
    const closed = [...this.connections].map((connection) => connection.kill());
    await Promise.all([...closed, this.datagrams.close()]);
  }

  #linger(b32: B32): void {
    this.lingering.add(b32);
    this.after(this.timing.lingerMs, () => {
      this.lingering.delete(b32);
      for (const session of this.sessions.values()) {
        if (session.request.destination.b32 !== b32 || !session.adopted) continue;
        session.broken = true;
        this.network.withdraw(session);
        this.network.abandon(session, 'silence');
      }
    });
  }

  #breakTwins(b32: B32): void {
    const twins = [...this.sessions.values()].filter(({ request }) => request.destination.b32 === b32);
    for (const twin of twins) {
      twin.broken = true;
      this.network.withdraw(twin);
    }
    if (twins.length > 0) this.after(this.timing.crashAfterMs, this.#onCrash);
  }
}
