/**
 * One I2P stream between two connections, with the manners of a SAM bridge: no half-close, the peer's name ahead of the
 * data, and an end that the other side may never hear of.
 */
import type { Clock } from '../../../src/kit/clock.ts';
import type { B32 } from '../../../src/wire/i2p/destination.ts';
import type { Connection } from './connection.ts';
import type { Action } from './faults.ts';
import { Pipe, type Shape } from './pipe.ts';
import type { FakeSession } from './session.ts';

/** What a stream needs to know of the network it crosses. */
export interface StreamPath {
  readonly clock: Clock;
  readonly connectorB32: B32;
  readonly acceptorB32: B32;
  readonly swallows: number;
  shape(): Shape;
  stalled(): boolean;
  /** From 0 to below 1, for losses. */
  draw(): number;
  /** Called once, when the stream is over for both sides. */
  onOver(stream: FakeStream): void;
}

export interface Acceptance {
  readonly connection: Connection;
  readonly session: FakeSession;
  /** The line that names the peer, or nothing for SILENT=true. */
  readonly fromLine: string | undefined;
  readonly style: 'with-first-data' | 'apart';
  readonly gatherMs: number;
  readonly action: Action | undefined;
}

export class FakeStream {
  readonly path: StreamPath;
  readonly connector: Connection;
  readonly connectorSession: FakeSession;
  readonly #outward: Pipe;
  #inward: Pipe | undefined;
  #acceptance: Acceptance | undefined;
  #closed = { connector: false, acceptor: false };
  #cancel: (() => void) | undefined;

  constructor(connector: Connection, session: FakeSession, path: StreamPath) {
    this.connector = connector;
    this.connectorSession = session;
    this.path = path;
    this.#outward = new Pipe(connector, this.#pipeOptions());
  }

  get acceptorSession(): FakeSession | undefined {
    return this.#acceptance?.session;
  }

  get over(): boolean {
    return this.#closed.connector && this.#closed.acceptor;
  }

  /** Somebody has accepted. */
  attach(acceptance: Acceptance): void {
    const { connection } = acceptance;
    this.#acceptance = acceptance;
    const inward = new Pipe(connection, this.#pipeOptions());
    this.#inward = inward;
    connection.role = { kind: 'stream', stream: this };
    inward.open(this.connector);
    const { latencyMs } = this.path.shape();
    if (latencyMs === 0) {
      this.#begin(acceptance);
      return;
    }
    const timer = this.path.clock.after(latencyMs, () => this.#begin(acceptance));
    this.#cancel = () => timer.cancel();
  }

  received(from: Connection, chunk: Buffer): void {
    if (from === this.connector) this.#outward.push(chunk);
    else this.#inward?.push(chunk);
  }

  drained(to: Connection): void {
    if (to === this.connector) this.#inward?.pump();
    else this.#outward.pump();
  }

  pump(): void {
    this.#outward.pump();
    this.#inward?.pump();
  }

  /** A client closed its side or died: what it sent still arrives, what it was sent is lost, and both sides close. */
  ended(side: Connection): void {
    if (side === this.connector) this.#endConnector();
    else this.#endAcceptor();
  }

  /** The stream ends although neither client wanted it. */
  cut(how: 'end' | 'reset'): void {
    this.#cancel?.();
    this.#outward.drop();
    this.#inward?.drop();
    this.#closed = { connector: true, acceptor: true };
    for (const connection of [this.connector, this.#acceptance?.connection]) {
      if (how === 'reset') connection?.reset();
      else connection?.close();
    }
    this.path.onOver(this);
  }

  /** The session on one side is gone: its connection closes, and the other side hears of it, or nothing ever again. */
  abandon(session: FakeSession, other: 'silence' | 'end'): void {
    if (other === 'end') {
      this.cut('end');
      return;
    }
    this.#cancel?.();
    // The acceptor's router knows nothing of it, and has named the peer when the stream came.
    this.#outward.flushHead();
    this.#outward.drop();
    this.#inward?.drop();
    if (this.connectorSession === session) this.#closeConnector();
    if (this.acceptorSession === session) this.#closeAcceptor();
  }

  /** The peer is away without the router knowing: what is sent is lost, and nobody says so. */
  vanish(): void {
    this.#outward.drop();
    this.#closed.acceptor = true;
  }

  #begin(acceptance: Acceptance): void {
    const { connection, fromLine, style, gatherMs, action } = acceptance;
    if (fromLine === undefined) {
      this.#outward.open(connection);
      return;
    }
    const line = `${fromLine}\n`;
    if (action !== undefined) {
      this.#misbehave(acceptance, line, action);
    } else if (style === 'with-first-data') {
      this.#outward.head = Buffer.from(line, 'latin1');
      this.#outward.open(connection);
      this.#soon(gatherMs, () => this.#outward.flushHead());
    } else {
      connection.write(Buffer.from(line, 'latin1'));
      this.#soon(gatherMs, () => this.#outward.open(connection));
    }
  }

  #misbehave({ connection }: Acceptance, line: string, action: Action): void {
    if (action.kind !== 'instead' && action.kind !== 'answer') {
      connection.refuse(action);
      return;
    }
    connection.say(action.kind === 'instead' ? action.text : (action.alter?.(line) ?? line), action);
    this.#outward.open(connection);
  }

  #endConnector(): void {
    if (this.#closed.connector) return;
    this.#inward?.drop();
    this.#closeConnector();
    // Nobody has accepted yet: what was sent waits for him, as the stream does.
    this.#outward.finish(() => this.#closeAcceptor());
  }

  #endAcceptor(): void {
    if (this.#closed.acceptor) return;
    this.#outward.drop();
    this.#closeAcceptor();
    this.#inward?.finish(() => this.#closeConnector());
  }

  #closeConnector(): void {
    if (this.#closed.connector) return;
    this.#closed.connector = true;
    this.connector.close();
    this.#checkOver();
  }

  #closeAcceptor(): void {
    if (this.#closed.acceptor) return;
    this.#closed.acceptor = true;
    this.#acceptance?.connection.close();
    this.#checkOver();
  }

  #checkOver(): void {
    if (!this.over) return;
    this.#cancel?.();
    this.path.onOver(this);
  }

  #soon(ms: number, run: () => void): void {
    const timer = setTimeout(run, ms);
    this.#cancel = () => clearTimeout(timer);
  }

  #pipeOptions() {
    const { clock, swallows } = this.path;
    return {
      clock,
      swallows,
      shape: () => this.path.shape(),
      stalled: () => this.path.stalled(),
      draw: () => this.path.draw(),
    };
  }
}
