/**
 * The packet link to one peer: the packets that wait, the streams that carry them, and the effort to have one that works.
 * What to do with which stream is decided in link-policy; here it is done.
 */
import type { Duplex } from 'node:stream';
import type { RelayEnd } from '../../core/dial/target.ts';
import type { Origin } from '../../core/inbound/switch.ts';
import { ASSUMED_MTU, longestFor, type Peer } from '../../core/peers/table.ts';
import type { PacketRun } from '../../core/ports.ts';
import { sharedController } from '../../kit/abort.ts';
import type { Timer } from '../../kit/clock.ts';
import { asGateError, GateError } from '../../kit/errors.ts';
import type { DropCause } from './fair-queue.ts';
import { LinkLedger } from './link-ledger.ts';
import {
  chooseStream,
  type Direction,
  fateOf,
  leastUseful,
  longestPauseMs,
  preferredDirection,
  TICK_MS,
  unheardMs,
} from './link-policy.ts';
import type { LinkDrop, LinkReach, LinkReport, LinkState } from './link-report.ts';
import { LinkStream } from './link-stream.ts';
import type { LinkWorld } from './link-world.ts';
import { OutboundPackets } from './outbound-packets.ts';
import { Redialer } from './redialer.ts';

const DROPS = {
  overflow: 'queueOverflow',
  age: 'queueAge',
  congestion: 'queueCongestion',
  tooBig: 'queueTooBig',
} as const satisfies Record<DropCause, LinkDrop>;

/** OnionCat closes an idle link after this; one that is only kept on demand does the same. */
const IDLE_MS = 180_000;
/** Whoever sent a packet so lately is still waiting. */
const WANTED_MS = 60_000;
/** Streams of one link at a time: one each way, and as many that replace them. */
const LONGEST_STREAM_LIST = 8;

export class PeerLink {
  readonly peer: Peer;
  readonly #world: LinkWorld;
  readonly #outbound: OutboundPackets;
  readonly #ledger: LinkLedger;
  readonly #preferred: Direction;
  readonly #flowLabel: number;
  readonly #redialer: Redialer;
  readonly #streams = new Set<LinkStream>();
  readonly #stopping = sharedController();
  readonly #running = new Set<Promise<void>>();
  #chosen: LinkStream | undefined;
  #ticking: Timer | undefined;

  constructor(peer: Peer, world: LinkWorld) {
    this.peer = peer;
    this.#world = world;
    this.#ledger = new LinkLedger(world.clock);
    this.#outbound = new OutboundPackets({
      limits: world.queue,
      blocks: world.blocks,
      seed: Math.floor(world.random() * 2 ** 32),
      dropped: (cause) => this.#ledger.drops.add(DROPS[cause]),
      undeliverable: (packet) => world.undeliverable(packet),
      tooBig: (packet) => world.tooBig(packet),
    });
    this.#preferred = preferredDirection(world.own.b32, peer.b32);
    this.#flowLabel = Math.floor(world.random() * 0x100000);
    this.#redialer = new Redialer({
      clock: world.clock,
      random: world.random,
      dial: (signal) => world.dial(peer, signal),
      opened: (end) => this.#carry(end, 'out', 'verified'),
      failed: (error) => {
        this.#ledger.dialFailed(error);
        world.log.debug(`a peer cannot be reached: ${error.message}`, { code: error.code });
        this.#retryLater();
      },
      idle: () => {
        this.#stateMayHaveChanged();
        this.#dialIfWanted();
      },
    });
  }

  start(): void {
    this.#tick();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new GateError('shutdown', 'shutdown', 'the gateway is stopping'));
    this.#ticking?.cancel();
    this.#outbound.clear();
    for (const stream of this.#streams) stream.destroy();
    await this.#redialer.stop();
    await Promise.all(this.#running);
  }

  /** @param run packets to this peer, borrowed */
  send(run: PacketRun): void {
    this.#ledger.wanted();
    this.#outbound.push(run, this.#world.clock.now());
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
    const { stateSince, heardAt, answers, roundTripMs, traffic, drops, lastError } = this.#ledger;
    const { length: packets, bytes, flows, handedOut, marked } = this.#outbound;
    return {
      peer: this.peer,
      state: this.#state(),
      streams: [...this.#streams].filter(({ retired }) => !retired).length,
      sinceMs: stateSince,
      heardAt,
      answersProbes: this.#chosen?.answers,
      answers,
      roundTripMs,
      traffic: { ...traffic.snapshot(), packetsOut: handedOut, marked },
      queued: { packets, bytes, flows },
      underWay: this.#chosen?.underWay,
      drops: drops.snapshot(),
      lastError,
    };
  }

  /** Calls `look` when the state changes, an answer comes or something fails, until what it returns is called. */
  watch(look: () => void): () => void {
    return this.#ledger.watch(look);
  }

  /** Opens a stream if there is none, as a packet would. */
  dial(): void {
    this.#ledger.wanted();
    this.#dialIfWanted(true);
  }

  /** Asks the peer for a sign of life, where there is a stream in use. */
  probe(): void {
    this.#chosen?.sendKeepalive(true);
  }

  reach(): LinkReach {
    const { heardAt, vainDials, lastWantedAt } = this.#ledger;
    return {
      wanted: this.peer.connect === 'always' || this.#world.clock.now() - lastWantedAt < WANTED_MS,
      up: this.#chosen !== undefined,
      heardAt,
      vainDials,
    };
  }

  #state(): LinkState {
    if (this.#chosen !== undefined) return { kind: 'up', direction: this.#chosen.direction };
    return this.#hasStreams() ? { kind: 'dialing' } : this.#redialer.state;
  }

  /** Notes when the state changed, for status. */
  #stateMayHaveChanged(): void {
    this.#ledger.stateIs(this.#state());
  }

  #dialIfWanted(isAsked = false): void {
    const wanted = isAsked || this.peer.connect === 'always' || this.#outbound.length > 0;
    const busy = this.#redialer.state.kind !== 'idle' || this.#hasStreams();
    if (!wanted || busy || this.#stopping.signal.aborted) return;
    this.#ledger.traffic.add('dials');
    this.#redialer.dial();
    this.#stateMayHaveChanged();
  }

  #retryLater(): void {
    if (!this.#hasStreams()) this.#redialer.rest(longestPauseMs(this.#ledger.silenceMs));
    this.#stateMayHaveChanged();
  }

  #carry(end: RelayEnd, direction: Direction, origin: Origin): void {
    const { own, clock, relay, deliver, takesFlows, mtu, admission } = this.#world;
    const stream: LinkStream = new LinkStream({
      direction,
      origin,
      peer: this.peer,
      own,
      flowLabel: this.#flowLabel,
      takesFlows,
      mtu,
      clock,
      line: end.stream,
      pull: (one, room) => (one === this.#chosen ? this.#nextBatch(room) : undefined),
      kept: () => this.#outbound.keep(),
      heard: (one) => this.#heard(one),
      packets: (run, count) => {
        this.#ledger.packetsCame(count, run.length);
        if (!stream.mayCarry) this.#vouchForOurs();
        deliver(run);
      },
      announced: (announcement) => {
        if (announcement?.measurement?.echo !== undefined) this.#ledger.answered();
        this.#ledger.keepaliveCame();
        this.peer.knowsFlows = announcement?.knowsFlows ?? false;
        this.peer.mtu = announcement?.mtu ?? ASSUMED_MTU;
        this.#outbound.fits(longestFor(this.peer));
        this.#measure(stream);
      },
      judge: (bytes, start, end) => admission.judgeInbound(this.peer, origin, bytes, start, end),
      refused: (refusal) => this.#ledger.drops.add(refusal),
      failed: (error) => this.#ledger.failed(asGateError(error, 'reading packets from a peer')),
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
          this.#ledger.failed(new GateError('limit', 'link.limit', 'no room for another stream; see limits.streams'));
        if (this.#chosen === stream) this.#choose();
        // A stream that we ended ourselves says nothing about the peer.
        if (this.#chosen === undefined && stream.mayCarry && !stream.retired) this.#retryLater();
        this.#stateMayHaveChanged();
      }),
    );
  }

  #nextBatch(room: number): Buffer | undefined {
    const batch = this.#outbound.pull(room, this.#world.clock.now());
    if (batch !== undefined) this.#ledger.traffic.add('bytesOut', batch.length);
    return batch;
  }

  #measure(stream: LinkStream): void {
    const { roundTripMs } = stream;
    if (roundTripMs === undefined) return;
    this.#ledger.roundTripMs = roundTripMs;
    if (stream === this.#chosen) this.#outbound.measured(roundTripMs);
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
    this.#ledger.reached();
    this.#choose();
    // The peer's own dial has won: ours would only make a second stream.
    if (stream.direction === 'in' && this.#preferred === 'in') this.#redialer.giveUp();
  }

  #choose(): void {
    const before = this.#chosen;
    this.#chosen = chooseStream(this.#streams, this.#preferred);
    if (before === undefined && this.#chosen !== undefined) this.#outbound.opened(this.#world.clock.now());
    this.#stateMayHaveChanged();
    if (this.#chosen === undefined) return;
    this.#measure(this.#chosen);
    this.#chosen.wake();
  }

  #tick(): void {
    const { clock } = this.#world;
    const now = clock.now();
    this.#outbound.expire(now);
    const idle = this.peer.connect === 'demand' && now - this.#ledger.lastPacketAt > IDLE_MS;
    for (const stream of [...this.#streams]) {
      if (idle && stream.direction === 'out') this.#retire(stream);
      else this.#apply(stream, now, idle);
    }
    this.#dialIfWanted();
    this.#ticking = clock.after(TICK_MS, () => this.#tick());
  }

  #apply(stream: LinkStream, now: number, idle: boolean): void {
    const fate = fateOf(stream, this.#chosen, now, unheardMs(this.#ledger.roundTripMs));
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
        this.#ledger.traffic.add('deadStreams');
        if (!stream.heard && stream.direction === 'out') this.#ledger.vainDials += 1;
        stream.heard = false;
        if (this.#chosen === stream) this.#choose();
        // An OnionCat never speaks on a stream that we opened, and is well.
        if (this.#chosen === undefined && stream.mayCarry) this.#ledger.silent();
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

  /** Work that `stop` waits for. */
  #keep(work: Promise<void>): void {
    const kept = work.finally(() => this.#running.delete(kept));
    this.#running.add(kept);
  }
}
