/**
 * The packet link to one peer: the packets that wait, the streams that carry them (link-streams), and the effort to have
 * one that works (redialer). Brings them together; what to do with which stream is decided in link-policy.
 */
import type { Duplex } from 'node:stream';
import type { RelayEnd } from '../../core/dial/target.ts';
import type { Origin } from '../../core/inbound/switch.ts';
import { ASSUMED_MTU, type Peer } from '../../core/peers/table.ts';
import type { PacketRun } from '../../core/ports.ts';
import { createSharedController } from '../../kit/abort.ts';
import type { Timer } from '../../kit/clock.ts';
import { blamesPeer, GateError } from '../../kit/errors.ts';
import { logFailure } from '../../kit/log.ts';
import { packetLength } from '../../wire/packet/ipv6.ts';
import { eachRow } from '../../wire/packet/rows.ts';
import { agreedSegment, BigPackets, fits } from './big-packets.ts';
import type { DropCause } from './fair-queue.ts';
import type { LinkEnvironment } from './link-environment.ts';
import { LinkLedger } from './link-ledger.ts';
import { type Direction, longestPauseMs, preferredDirection, TICK_MS } from './link-policy.ts';
import type { LinkDrop, LinkReach, LinkReport, LinkState } from './link-report.ts';
import { LinkStream } from './link-stream.ts';
import { LinkStreams } from './link-streams.ts';
import { OutboundPackets, RUN_BLOCK } from './outbound-packets.ts';
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

export class PeerLink {
  readonly peer: Peer;
  readonly #environment: LinkEnvironment;
  readonly #outbound: OutboundPackets;
  readonly #ledger: LinkLedger;
  readonly #preferred: Direction;
  readonly #redialer: Redialer;
  readonly #streams: LinkStreams;
  readonly #big: BigPackets;
  readonly #stopping = createSharedController();
  readonly #running = new Set<Promise<void>>();
  #ticking: Timer | undefined;

  constructor(peer: Peer, environment: LinkEnvironment) {
    this.peer = peer;
    this.#environment = environment;
    this.#ledger = new LinkLedger(environment.clock);
    this.#outbound = new OutboundPackets({
      limits: environment.queue,
      blocks: environment.blocks,
      seed: Math.floor(environment.random() * 2 ** 32),
      dropped: (cause) => this.#ledger.drops.add(DROPS[cause]),
      expired: (packet, isLast) => environment.away(packet, isLast ? 'expired-last' : 'expired'),
      tooBig: (packet) => environment.tooBig(packet),
    });
    this.#preferred = preferredDirection(environment.own.b32, peer.b32);
    this.#streams = new LinkStreams({
      preferred: this.#preferred,
      ledger: this.#ledger,
      chosen: (now, before) => {
        if (before === undefined && now !== undefined) this.#outbound.opened(environment.clock.now());
        this.#updateState();
        this.#fitBigPackets();
        if (now === undefined) return;
        this.#measure(now);
        now.wake();
      },
    });
    this.#big = new BigPackets(environment.big, peer);
    this.#redialer = new Redialer({
      clock: environment.clock,
      random: environment.random,
      dial: (signal) => environment.dial(peer, signal, () => this.#isWanted()),
      opened: (end) => this.#carry(end, 'out', 'verified'),
      failed: (error) => {
        this.#ledger.noteDialFailure(error);
        if (blamesPeer(error)) this.#streams.noteUnreachable();
        logFailure(environment.log, error, 'connecting to a peer');
        this.#retryLater();
      },
      idle: () => {
        this.#updateState();
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
    this.#streams.destroy();
    await this.#redialer.stop();
    await Promise.all(this.#running);
  }

  /** May a packet of so many bytes go to the peer? */
  takes(length: number): boolean {
    return fits(this.#environment.big, this.peer, length);
  }

  /** The size of the packets, in bytes, whose rows may go to the peer as one; undefined while they may not. */
  get segment(): number | undefined {
    return this.#big.segment;
  }

  /** @param run packets to this peer, borrowed */
  send(run: PacketRun): void {
    eachRow(run, undefined, RUN_BLOCK, (start, _, end, packets) => this.enqueue(run.subarray(start, end), packets));
    this.flush();
  }

  /** What was enqueued leaves with the next `flush`. @param row alike packets to this peer, borrowed */
  enqueue(row: PacketRun, packets: number): void {
    this.#outbound.push(row, packets, this.#environment.clock.now());
    // One of them is enough: they are of one flow.
    if (this.#streams.chosen === undefined) this.#environment.away(row.subarray(0, packetLength(row, 0)), 'queued');
  }

  flush(): void {
    this.#ledger.noteWanted();
    if (this.#streams.chosen !== undefined) this.#streams.chosen.wake();
    else this.#dialIfWanted();
  }

  /** A stream that the peer opened, with all its bytes. */
  accept(stream: Duplex, origin: Origin): void {
    if (this.#stopping.signal.aborted) {
      stream.destroy();
      return;
    }
    // The newest says most about where the peer is.
    this.#streams.makeRoom();
    this.#carry({ stream, halfClose: false }, 'in', origin);
  }

  report(): LinkReport {
    const { stateSince, heardAt, answers, roundTripMs, traffic, drops, lastError } = this.#ledger;
    const { length: packets, bytes, flows, handedOut, marked } = this.#outbound;
    const { chosen, count } = this.#streams;
    return {
      peer: this.peer,
      state: this.#state(),
      streams: count,
      sinceMs: stateSince,
      heardAt,
      answersProbes: chosen?.answers,
      answers,
      roundTripMs,
      traffic: { ...traffic.snapshot(), packetsOut: handedOut, marked },
      queued: { packets, bytes, flows },
      underWay: chosen?.underWay,
      bigPackets: this.#big.state,
      drops: drops.snapshot(),
      lastError,
    };
  }

  /** Calls `look` when the state changes, a stream or an answer comes or something fails, until what it returns is called. */
  watch(look: () => void): () => void {
    return this.#ledger.watch(look);
  }

  /** Opens a stream if there is none, as a packet would. */
  dial(): void {
    this.#ledger.noteWanted();
    this.#dialIfWanted(true);
  }

  /** The session stands anew: dials that failed for want of it say nothing of the peer, and no pause after them is needed. */
  sessionStands(): void {
    this.#redialer.hurry();
  }

  /** Asks the peer for a sign of life, where there is a stream in use. */
  probe(): void {
    this.#streams.chosen?.sendKeepalive(true);
  }

  reach(): LinkReach {
    const { heardAt, vainDials } = this.#ledger;
    return {
      wanted: this.peer.connect === 'always' || this.#isWanted(),
      up: this.#streams.chosen !== undefined,
      heardAt,
      isKnown: this.peer.onionCat?.inbound !== 'unverified',
      vainDials,
    };
  }

  /** Somebody has packets for the peer, or has asked for it, just now. */
  #isWanted(): boolean {
    return this.#environment.clock.now() - this.#ledger.lastWantedAt < WANTED_MS;
  }

  #state(): LinkState {
    const { chosen, mayCarry } = this.#streams;
    if (chosen !== undefined) return { kind: 'up', direction: chosen.direction };
    return mayCarry ? { kind: 'dialing' } : this.#redialer.state;
  }

  /** Notes when the state changed, for status. */
  #updateState(): void {
    this.#ledger.setState(this.#state());
  }

  #dialIfWanted(isAsked = false): void {
    const isDue = this.#streams.isDueForSuccessor(this.#environment.clock.now());
    const wanted = isDue || isAsked || this.peer.connect === 'always' || this.#outbound.length > 0;
    const busy = this.#redialer.state.kind !== 'idle' || (this.#streams.mayCarry && !isDue);
    if (!wanted || busy || this.#stopping.signal.aborted) return;
    this.#ledger.traffic.add('dials');
    this.#redialer.dial();
    this.#updateState();
  }

  #retryLater(): void {
    if (!this.#streams.mayCarry) this.#redialer.rest(longestPauseMs(this.#ledger.silenceMs));
    this.#updateState();
  }

  #carry(end: RelayEnd, direction: Direction, origin: Origin): void {
    const { own, clock, relay, deliver, takesFlows, big, admission, label: ownLabel } = this.#environment;
    const stream: LinkStream = new LinkStream({
      direction,
      origin,
      peer: this.peer,
      own,
      flowLabel: ownLabel(),
      takesFlows,
      big,
      clock,
      line: end.stream,
      pull: (one, room) => (one === this.#streams.chosen ? this.#nextBatch(room) : undefined),
      kept: () => this.#outbound.keep(),
      heard: (one, before) => this.#heard(one, before),
      packets: (run, count) => {
        this.#ledger.notePackets(count, run.length);
        if (!stream.mayCarry) this.#streams.vouchForOurs();
        deliver(run, agreedSegment(big, this.peer));
      },
      announced: (announcement, label) => {
        if (!stream.mayCarry) this.#streams.vouchForOurs();
        // Labels of OnionCats say nothing, and those of nobody knows whom even less.
        const tells = announcement !== undefined && stream.mayCarry;
        if (tells) this.#environment.labelHeard(this.peer, label, stream.openedAt);
        if (announcement?.measurement?.echo !== undefined) this.#ledger.noteAnswer();
        this.#ledger.noteKeepalive();
        this.peer.knowsFlows = announcement?.knowsFlows ?? false;
        this.peer.mtu = announcement?.mtu ?? ASSUMED_MTU;
        this.peer.takesBig = announcement?.takesBig ?? false;
        this.#outbound.acceptOnly((length) => this.takes(length));
        this.#measure(stream);
        this.#fitBigPackets();
      },
      judge: (bytes, start, end) => admission.judgeInbound(this.peer, origin, bytes, start, end),
      refused: (refusal) => this.#ledger.drops.add(refusal),
      failed: (error) =>
        this.#ledger.noteFailure(logFailure(this.#environment.log, error, 'reading packets from a peer')),
    });
    this.#streams.add(stream);
    this.#ledger.noteStream();
    this.#updateState();
    // OnionCat's rule: whoever opens a stream speaks first.
    if (direction === 'out') stream.sendKeepalive(true);
    const joined = relay.join({ stream: stream.duplex, halfClose: true }, end, {
      signal: this.#stopping.signal,
      idleMs: 0,
    });
    this.#keep(
      joined.then((report) => {
        const isLoss = this.#streams.remove(stream);
        if (report.ended === 'limit')
          this.#ledger.noteFailure(
            new GateError('limit', 'link.limit', 'no room for another stream; see limits.streams'),
          );
        if (isLoss) this.#retryLater();
        this.#updateState();
      }),
    );
  }

  #nextBatch(room: number): Buffer | undefined {
    const batch = this.#outbound.pull(room, this.#environment.clock.now());
    if (batch !== undefined) this.#ledger.traffic.add('bytesOut', batch.length);
    return batch;
  }

  #measure(stream: LinkStream): void {
    const { roundTripMs } = stream;
    if (roundTripMs === undefined) return;
    this.#ledger.roundTripMs = roundTripMs;
    if (stream === this.#streams.chosen) this.#outbound.setRoundTrip(roundTripMs);
  }

  #fitBigPackets(): void {
    const before = this.#big.segment;
    this.#big.noteMomentBytes(this.#streams.chosen?.momentBytes ?? 0);
    if (before !== undefined && before !== this.#big.segment) this.#environment.cut();
  }

  #heard(stream: LinkStream, before: 'new' | 'doubted'): void {
    if (!stream.mayCarry) {
      this.#streams.vouchForOurs();
      return;
    }
    this.#redialer.succeeded();
    this.#ledger.noteReached();
    this.#streams.choose();
    // The old stream, or the peer's own dial, has won: ours would only make a second one.
    if (before === 'doubted' || (stream.direction === 'in' && this.#preferred === 'in')) this.#redialer.giveUp();
  }

  #tick(): void {
    const { clock } = this.#environment;
    const now = clock.now();
    this.#outbound.expire(now);
    const idle = this.peer.connect === 'demand' && now - this.#ledger.lastPacketAt > IDLE_MS;
    this.#streams.look(now, idle);
    this.#dialIfWanted();
    this.#ticking = clock.after(TICK_MS, () => this.#tick());
  }

  /** Work that `stop` waits for. */
  #keep(work: Promise<void>): void {
    const kept = work.finally(() => this.#running.delete(kept));
    this.#running.add(kept);
  }
}
