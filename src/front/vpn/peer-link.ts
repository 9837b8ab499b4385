/**
 * The packet link to one peer: a bounded queue, the streams that carry it, and the effort to have one that works. What
 * to do with which stream is decided in link-policy; here it is done.
 */
import type { Duplex } from 'node:stream';
import type { RelayEnd } from '../../core/dial/target.ts';
import type { Origin } from '../../core/inbound/switch.ts';
import { ASSUMED_MTU, type Peer } from '../../core/peers/table.ts';
import type { PacketRun } from '../../core/ports.ts';
import type { Relay } from '../../core/relay/report.ts';
import { sharedController } from '../../kit/abort.ts';
import type { Clock, Timer } from '../../kit/clock.ts';
import { asGateError, GateError } from '../../kit/errors.ts';
import type { Logger } from '../../kit/log.ts';
import { DropOldestQueue, type QueueLimits } from '../../kit/queue.ts';
import { type Tally, tally } from '../../kit/tally.ts';
import type { Addresses } from '../../wire/i2p/address.ts';
import type { B32 } from '../../wire/i2p/destination.ts';
import { packetLength } from '../../wire/packet/ipv6.ts';
import { chooseStream, type Direction, fateOf, leastUseful, preferredDirection } from './link-policy.ts';
import { LinkStream } from './link-stream.ts';
import { Redialer, type RedialState } from './redialer.ts';

export interface LinkWorld {
  readonly own: { readonly b32: B32; readonly addresses: Addresses };
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly relay: Relay;
  readonly queue: QueueLimits;
  readonly takesFlows: boolean;
  /** Of our interface, in bytes. */
  readonly mtu: number;
  dial(peer: Peer, signal: AbortSignal): Promise<RelayEnd>;
  /** Packets for the TUN; borrowed until it returns. */
  deliver(run: PacketRun): void;
  /** A packet waited for the peer until it was too old. */
  undeliverable(packet: Buffer): void;
}

export type LinkState = RedialState | { readonly kind: 'up'; readonly direction: Direction };

export type LinkDrop = 'queueOverflow' | 'queueAge' | 'foreignSource' | 'foreignDestination';

export interface LinkReport {
  readonly peer: Peer;
  readonly state: LinkState;
  readonly sinceMs: number;
  readonly traffic: Readonly<Record<LinkCounter, number>>;
  readonly queued: { readonly packets: number; readonly bytes: number };
  readonly drops: Readonly<Record<LinkDrop, number>>;
  readonly lastError: { readonly error: GateError; readonly at: number } | undefined;
}

type LinkCounter = 'packetsOut' | 'bytesOut' | 'packetsIn' | 'bytesIn' | 'dials' | 'deadStreams';

const TICK_MS = 2_000;
/** OnionCat closes an idle link after this; one that is only kept on demand does the same. */
const IDLE_MS = 180_000;
/** Enough packets to make a write worth its system call, few enough to drop late. */
const BATCH_BYTES = 32 * 1024;
/** Streams of one link at a time: one each way, and as many that replace them. */
const LONGEST_STREAM_LIST = 8;

export class PeerLink {
  readonly peer: Peer;
  readonly #world: LinkWorld;
  readonly #queue: DropOldestQueue;
  readonly #drops: Tally<LinkDrop>;
  readonly #traffic: Tally<LinkCounter>;
  readonly #preferred: Direction;
  readonly #flowLabel: number;
  readonly #redialer: Redialer;
  readonly #streams = new Set<LinkStream>();
  readonly #stopping = sharedController();
  readonly #running = new Set<Promise<void>>();
  #chosen: LinkStream | undefined;
  #ticking: Timer | undefined;
  #lastPacketAt: number;
  #since: number;
  #shown: LinkState['kind'] = 'idle';
  #lastError: { readonly error: GateError; readonly at: number } | undefined;

  constructor(peer: Peer, world: LinkWorld) {
    this.peer = peer;
    this.#world = world;
    this.#drops = tally(['queueOverflow', 'queueAge', 'foreignSource', 'foreignDestination']);
    this.#traffic = tally(['packetsOut', 'bytesOut', 'packetsIn', 'bytesIn', 'dials', 'deadStreams']);
    this.#queue = new DropOldestQueue(world.queue, (packet, cause) => {
      this.#drops.add(cause === 'overflow' ? 'queueOverflow' : 'queueAge');
      if (cause === 'age') world.undeliverable(packet);
    });
    this.#preferred = preferredDirection(world.own.b32, peer.b32);
    this.#flowLabel = Math.floor(world.random() * 0x100000);
    this.#redialer = new Redialer({
      clock: world.clock,
      random: world.random,
      dial: (signal) => world.dial(peer, signal),
      opened: (end) => this.#carry(end, 'out', 'verified'),
      failed: (error) => {
        this.#note(error);
        world.log.debug(`a peer cannot be reached: ${error.message}`, { code: error.code });
        this.#retryLater();
      },
      idle: () => {
        this.#stateMayHaveChanged();
        this.#dialIfWanted();
      },
    });
    this.#lastPacketAt = world.clock.now();
    this.#since = world.clock.now();
  }

  start(): void {
    this.#tick();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new GateError('shutdown', 'shutdown', 'the gateway is stopping'));
    this.#ticking?.cancel();
    this.#queue.clear();
    for (const stream of this.#streams) stream.destroy();
    await this.#redialer.stop();
    await Promise.all(this.#running);
  }

  /** @param run packets to this peer, borrowed */
  send(run: PacketRun): void {
    const { clock } = this.#world;
    const now = clock.now();
    this.#lastPacketAt = now;
    const kept = Buffer.from(run);
    for (let at = 0; at < kept.length; ) {
      const end = at + packetLength(kept, at);
      this.#queue.push(kept.subarray(at, end), now);
      at = end;
    }
    if (this.#chosen !== undefined) this.#chosen.wake();
    else this.#dialIfWanted();
  }

  /** A stream that the peer opened, with all its bytes. */
  accept(stream: Duplex, origin: Origin): void {
    if (this.#stopping.signal.aborted) {
      stream.destroy();
      return;
    }
    // The newest says most about where the peer is.
    const victim = this.#streams.size < LONGEST_STREAM_LIST ? undefined : leastUseful(this.#streams, this.#chosen);
    if (victim !== undefined) {
      this.#streams.delete(victim);
      victim.destroy();
    }
    this.#carry({ stream, halfClose: false }, 'in', origin);
  }

  report(): LinkReport {
    return {
      peer: this.peer,
      state: this.#state(),
      sinceMs: this.#since,
      traffic: this.#traffic.snapshot(),
      queued: { packets: this.#queue.length, bytes: this.#queue.bytes },
      drops: this.#drops.snapshot(),
      lastError: this.#lastError,
    };
  }

  #state(): LinkState {
    if (this.#chosen !== undefined) return { kind: 'up', direction: this.#chosen.direction };
    return this.#hasStreams() ? { kind: 'dialing' } : this.#redialer.state;
  }

  /** Notes when the state changed, for status. */
  #stateMayHaveChanged(): void {
    const { kind } = this.#state();
    if (kind === this.#shown) return;
    this.#shown = kind;
    this.#since = this.#world.clock.now();
  }

  #dialIfWanted(): void {
    const wanted = this.peer.connect === 'always' || this.#queue.length > 0;
    const busy = this.#redialer.state.kind !== 'idle' || this.#hasStreams();
    if (!wanted || busy || this.#stopping.signal.aborted) return;
    this.#traffic.add('dials');
    this.#redialer.dial();
    this.#stateMayHaveChanged();
  }

  #retryLater(): void {
    if (!this.#hasStreams()) this.#redialer.rest();
    this.#stateMayHaveChanged();
  }

  #carry(end: RelayEnd, direction: Direction, origin: Origin): void {
    const { own, clock, relay, deliver, takesFlows, mtu } = this.#world;
    const stream: LinkStream = new LinkStream({
      direction,
      origin,
      peer: this.peer,
      own,
      flowLabel: this.#flowLabel,
      takesFlows,
      mtu,
      clock,
      pull: (one) => (one === this.#chosen ? this.#nextBatch() : undefined),
      heard: (one) => this.#heard(one),
      packets: (run, count) => {
        this.#lastPacketAt = clock.now();
        this.#traffic.add('packetsIn', count);
        this.#traffic.add('bytesIn', run.length);
        if (!stream.mayCarry) this.#vouchForOurs();
        deliver(run);
      },
      announced: (announcement) => {
        this.peer.knowsFlows = announcement?.knowsFlows ?? false;
        this.peer.mtu = announcement?.mtu ?? ASSUMED_MTU;
      },
      refused: (verdict) => this.#drops.add(verdict),
      failed: (error) => this.#note(asGateError(error, 'reading packets from a peer')),
    });
    this.#streams.add(stream);
    this.#stateMayHaveChanged();
    // OnionCat's rule: whoever opens a stream speaks first.
    if (direction === 'out') stream.sendKeepalive(true);
    if ([...this.#streams].some((one) => !one.mayCarry && one.heard)) this.#vouchForOurs();
    const joined = relay.join({ stream: stream.duplex, halfClose: true }, end, {
      signal: this.#stopping.signal,
      idleMs: 0,
    });
    this.#keep(
      joined.then((report) => {
        this.#streams.delete(stream);
        if (report.ended === 'limit')
          this.#note(new GateError('limit', 'link.limit', 'no room for another stream; see limits.streams'));
        if (this.#chosen === stream) this.#choose();
        // A stream that we ended ourselves says nothing about the peer.
        if (this.#chosen === undefined && stream.mayCarry && !stream.retired) this.#retryLater();
        this.#stateMayHaveChanged();
      }),
    );
  }

  #nextBatch(): Buffer | undefined {
    const now = this.#world.clock.now();
    const batch: Buffer[] = [];
    let bytes = 0;
    while (bytes < BATCH_BYTES) {
      const packet = this.#queue.shift(now);
      if (packet === undefined) break;
      batch.push(packet);
      bytes += packet.length;
    }
    if (bytes === 0) return undefined;
    this.#traffic.add('packetsOut', batch.length);
    this.#traffic.add('bytesOut', bytes);
    return Buffer.concat(batch, bytes);
  }

  /**
   * An OnionCat never speaks on a stream that we opened; it opens its own. Where nobody can say who opened that, it is
   * still the best sign that ours has arrived. A liar wins nothing by it: what we send goes to the peer's destination.
   */
  #vouchForOurs(): void {
    for (const stream of this.#streams) if (stream.direction === 'out') stream.hear();
  }

  #heard(stream: LinkStream): void {
    if (!stream.mayCarry) {
      this.#vouchForOurs();
      return;
    }
    this.#redialer.succeeded();
    this.#lastError = undefined;
    this.#choose();
    // The peer's own dial has won: ours would only make a second stream.
    if (stream.direction === 'in' && this.#preferred === 'in') this.#redialer.giveUp();
  }

  #choose(): void {
    this.#chosen = chooseStream(this.#streams, this.#preferred);
    this.#stateMayHaveChanged();
    this.#chosen?.wake();
  }

  #tick(): void {
    const { clock } = this.#world;
    const now = clock.now();
    this.#queue.expire(now);
    const idle = this.peer.connect === 'demand' && now - this.#lastPacketAt > IDLE_MS;
    for (const stream of [...this.#streams]) {
      if (idle && stream.direction === 'out') this.#retire(stream);
      else this.#apply(stream, now, idle);
    }
    this.#dialIfWanted();
    this.#ticking = clock.after(TICK_MS, () => this.#tick());
  }

  #apply(stream: LinkStream, now: number, idle: boolean): void {
    const fate = fateOf(stream, this.#chosen, now);
    switch (fate) {
      case 'keep':
        return;
      case 'probe':
        // Nobody wants it: left alone, the peer closes it.
        if (!idle) stream.probe();
        return;
      case 'retire':
        this.#retire(stream);
        return;
      case 'dead':
        this.#traffic.add('deadStreams');
        stream.heard = false;
        if (this.#chosen === stream) this.#choose();
        // An OnionCat never speaks on a stream that we opened, and is well.
        if (this.#chosen === undefined && stream.mayCarry) {
          this.#note(new GateError('peer-timeout', 'link.silent', 'the peer does not answer'));
        }
        stream.destroy();
        return;
      default:
        fate satisfies never;
    }
  }

  #retire(stream: LinkStream): void {
    if (stream.retired) return;
    stream.retire();
    if (this.#chosen === stream) this.#choose();
  }

  /** Is there a stream that carries our packets, or may soon? */
  #hasStreams(): boolean {
    return [...this.#streams].some(({ retired, mayCarry }) => !retired && mayCarry);
  }

  /** For status: what last went wrong, until the peer is heard again. */
  #note(error: GateError): void {
    this.#lastError = { error, at: this.#world.clock.now() };
  }

  /** Work that `stop` waits for. */
  #keep(work: Promise<void>): void {
    const kept = work.finally(() => this.#running.delete(kept));
    this.#running.add(kept);
  }
}
