/** One SAM session on a fake router: its keys, and who waits to ACCEPT the streams that come to it. */
import { connect } from 'node:net';
import type { Timer } from '../../../src/kit/clock.ts';
import type { Destination } from '../../../src/wire/i2p/destination.ts';
import type { Connection } from './connection.ts';
import { ARRIVAL } from './faults.ts';
import type { Router } from './router.ts';
import type { FakeStream } from './stream.ts';

export interface SessionRequest {
  readonly id: string;
  readonly style: string;
  readonly destination: Destination;
  readonly blob: string;
  readonly options: Readonly<Record<string, string>>;
}

interface Accept {
  readonly connection: Connection;
  readonly silent: boolean;
  readonly at: number;
}

export class FakeSession {
  readonly request: SessionRequest;
  readonly control: Connection;
  readonly router: Router;
  /** The one that gets the next stream. */
  #first: Accept | undefined;
  #waiting: Accept[] = [];
  #held = new Map<FakeStream, Timer>();
  #forward: { readonly connection: Connection; readonly port: number; readonly silent: boolean } | undefined;
  #streamsToLose = 0;
  /** Set when the router has lost the destination although the session seems to live. */
  broken = false;
  /** It stands on the destination of one that has ended. */
  adopted = false;

  constructor(request: SessionRequest, control: Connection, router: Router) {
    this.request = request;
    this.control = control;
    this.router = router;
  }

  get armed(): number {
    return (this.#first === undefined ? 0 : 1) + this.#waiting.length;
  }

  get accepting(): boolean {
    return this.#first !== undefined || this.#forward !== undefined;
  }

  /** Whether a stream that comes now is taken, be it later. */
  get willTake(): boolean {
    return this.accepting || this.#streamsToLose > 0 || this.router.temperament.nobodyAccepts === 'waits';
  }

  /** A STREAM ACCEPT that has been answered. */
  arm(connection: Connection, silent: boolean): void {
    const accept: Accept = { connection, silent, at: this.router.clock.now() };
    if (this.#first === undefined) {
      this.#first = accept;
      this.#serveHeld();
      return;
    }
    this.#closeBurst();
    this.#waiting.push(accept);
  }

  forward(connection: Connection, port: number, silent: boolean): void {
    this.#forward = { connection, port, silent };
    this.#serveHeld();
  }

  /** The owner of an ACCEPT or FORWARD is gone. */
  withdraw(connection: Connection): void {
    if (this.#forward?.connection === connection) this.#forward = undefined;
    this.#waiting = this.#waiting.filter((accept) => accept.connection !== connection);
    if (this.#first?.connection !== connection) return;
    const { firstAcceptClosed } = this.router.temperament;
    if (firstAcceptClosed === 'one-stream-lost' && this.#waiting.length > 0) this.#streamsToLose += 1;
    this.#first = firstAcceptClosed === 'next-waits-on' ? undefined : this.#waiting.shift();
  }

  /** A stream begins. Ends it when nobody will take it. */
  arrive(stream: FakeStream): void {
    const { timing, clock } = this.router;
    if (this.#streamsToLose > 0) {
      this.#streamsToLose -= 1;
      stream.cut('end');
    } else if (this.#first !== undefined) this.#serve(this.#first, stream);
    else if (this.#forward !== undefined) this.#dial(stream, this.#forward.port, this.#forward.silent);
    else if (!this.willTake) stream.cut('end');
    else {
      const giveUp = clock.after(timing.acceptWaitMs, () => {
        this.#held.delete(stream);
        stream.cut('end');
      });
      this.#held.set(stream, giveUp);
    }
  }

  /** Streams that nobody accepted are forgotten; ACCEPTs close. */
  end(): void {
    for (const [stream, timer] of this.#held) {
      timer.cancel();
      stream.vanish();
    }
    this.#held.clear();
    const accepts = [...(this.#first === undefined ? [] : [this.#first]), ...this.#waiting];
    const forward = this.#forward;
    this.#first = undefined;
    this.#waiting = [];
    this.#forward = undefined;
    for (const { connection } of accepts) connection.close();
    forward?.connection.close();
  }

  #serveHeld(): void {
    for (const [stream, timer] of this.#held) {
      if (!this.accepting) return;
      timer.cancel();
      this.#held.delete(stream);
      this.arrive(stream);
    }
  }

  #serve(accept: Accept, stream: FakeStream): void {
    this.#closeBurst();
    this.#first = this.#waiting.shift();
    this.#attach(accept.connection, accept.silent, stream);
  }

  /** i2pd 2.59 takes ACCEPTs that wait and are young for a flood. */
  #closeBurst(): void {
    const { temperament, timing, clock } = this.router;
    if (temperament.acceptBursts !== 'close-earlier') return;
    for (let oldest = this.#waiting[0]; oldest !== undefined; oldest = this.#waiting[0]) {
      if (oldest.at + timing.burstWindowMs <= clock.now()) return;
      this.#waiting.shift();
      oldest.connection.close();
    }
  }

  #dial(stream: FakeStream, port: number, silent: boolean): void {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    const connection = this.router.adopt(socket, { kind: 'forward', session: this });
    this.#attach(connection, silent, stream);
  }

  #attach(connection: Connection, silent: boolean, stream: FakeStream): void {
    const { temperament, timing, faults } = this.router;
    const { base64 } = stream.connectorSession.request.destination;
    const fromLine = temperament.fromLinePorts ? `${base64} FROM_PORT=0 TO_PORT=0` : base64;
    stream.attach({
      connection,
      session: this,
      fromLine: silent ? undefined : fromLine,
      style: temperament.fromLine,
      gatherMs: timing.gatherMs,
      action: silent ? undefined : faults.decide(ARRIVAL, { connection: connection.number, session: this.request.id }),
    });
  }
}
