/**
 * What lies between fake routers: who is reachable under which destination, an address book for all, and how well streams
 * get through. Knows nothing of SAM.
 */
import type { B32 } from '../../../src/wire/i2p/destination.ts';
import { randomNumbers } from '../random.ts';
import { deliver, type FakeDatagram } from './datagrams.ts';
import type { Shape } from './pipe.ts';
import type { FakeSession } from './session.ts';
import type { FakeStream } from './stream.ts';

/** What the network does to a datagram. `late`: it comes behind the next one. */
export type DatagramFate = 'delivered' | 'lost' | 'twice' | 'late';

/** How a destination is away: routers believe that it is there, or know that it is not. */
export type Absence = 'silent' | 'unreachable';

const UNHINDERED: Shape = { latencyMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY, loss: 0 };

export class FakeNetwork {
  /** Host names and the base64 destinations they stand for. */
  readonly addressBook = new Map<string, string>();
  readonly #sessions = new Map<B32, FakeSession[]>();
  readonly #absent = new Map<B32, Absence>();
  readonly #stalled = new Set<B32>();
  readonly #shapes = new Map<B32, Shape>();
  readonly #streams = new Set<FakeStream>();
  #shape = UNHINDERED;
  #fate: (count: number) => DatagramFate = () => 'delivered';
  #datagrams = 0;
  #late: FakeDatagram | undefined;

  /** Streams that live, or of which one side does not know that they ended. */
  get streams(): number {
    return this.#streams.size;
  }

  /** Bridges say OK to a CONNECT and nothing follows (`silent`), or refuse it. Streams that exist stay as they are. */
  offline(b32: B32, how: Absence = 'silent'): void {
    this.#absent.set(b32, how);
  }

  online(b32: B32): void {
    this.#absent.delete(b32);
  }

  absence(b32: B32): Absence | undefined {
    return this.#absent.get(b32);
  }

  /** Sets latency, rate and loss of all streams, or of those of one destination. */
  shape(shape: Partial<Shape>, b32?: B32): void {
    const whole = { ...UNHINDERED, ...shape };
    if (b32 === undefined) this.#shape = whole;
    else this.#shapes.set(b32, whole);
  }

  /** The next number of a sequence that is always the same, from 0 to below 1. */
  readonly draw = randomNumbers(0);

  /** Streams of this destination carry nothing until `resume`, and nobody is told. */
  stall(b32: B32): void {
    this.#stalled.add(b32);
  }

  resume(b32: B32): void {
    this.#stalled.delete(b32);
    for (const stream of this.#streamsOf(b32)) stream.pump();
  }

  /** Ends all streams of this destination, at both sides. */
  cut(b32: B32, how: 'end' | 'reset'): void {
    for (const stream of this.#streamsOf(b32)) stream.cut(how);
  }

  /** @param decide asked for every datagram, which it gets counted from 1 */
  treatDatagrams(decide: (count: number) => DatagramFate): void {
    this.#fate = decide;
  }

  send(datagram: FakeDatagram): void {
    this.#datagrams += 1;
    const fate = this.#fate(this.#datagrams);
    switch (fate) {
      case 'lost':
        return;
      case 'late':
        this.#late = datagram;
        return;
      case 'twice':
        this.#arrive(datagram);
        break;
      case 'delivered':
        break;
      default:
        fate satisfies never;
    }
    this.#arrive(datagram);
    const late = this.#late;
    this.#late = undefined;
    if (late !== undefined) this.#arrive(late);
  }

  #arrive(datagram: FakeDatagram): void {
    const session = this.find(datagram.to.b32);
    if (session?.request.style === 'DATAGRAM') deliver(session.router, session, datagram);
  }

  publish(session: FakeSession): void {
    const { b32 } = session.request.destination;
    this.#sessions.set(b32, [...(this.#sessions.get(b32) ?? []), session]);
  }

  withdraw(session: FakeSession): void {
    const { b32 } = session.request.destination;
    const others = (this.#sessions.get(b32) ?? []).filter((other) => other !== session);
    if (others.length > 0) this.#sessions.set(b32, others);
    else this.#sessions.delete(b32);
  }

  /** The newest session with this destination. */
  find(b32: B32): FakeSession | undefined {
    return this.#sessions.get(b32)?.at(-1);
  }

  carry(stream: FakeStream): void {
    this.#streams.add(stream);
  }

  forget(stream: FakeStream): void {
    this.#streams.delete(stream);
  }

  /** A session ended: what happens to its streams, and what their other side hears of it. */
  abandon(session: FakeSession, other: 'silence' | 'end'): void {
    for (const stream of [...this.#streams]) {
      if (stream.connectorSession === session || stream.acceptorSession === session) stream.abandon(session, other);
    }
  }

  shapeBetween(one: B32, other: B32): Shape {
    return this.#shapes.get(one) ?? this.#shapes.get(other) ?? this.#shape;
  }

  stalledBetween(one: B32, other: B32): boolean {
    return this.#stalled.has(one) || this.#stalled.has(other);
  }

  #streamsOf(b32: B32): FakeStream[] {
    return [...this.#streams].filter(({ path }) => path.connectorB32 === b32 || path.acceptorB32 === b32);
  }
}
