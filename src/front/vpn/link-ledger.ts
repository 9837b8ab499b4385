/** What a link remembers of itself: counters, times, and what last went wrong. Decides nothing. */
import type { Clock } from '../../kit/clock.ts';
import { blamesPeer, GateError } from '../../kit/errors.ts';
import { createTally } from '../../kit/tally.ts';
import { LINK_COUNTERS, LINK_DROPS, type LinkState } from './link-report.ts';

export class LinkLedger {
  readonly #clock: Clock;
  readonly drops = createTally(LINK_DROPS);
  readonly traffic = createTally(LINK_COUNTERS);
  /** A packet went either way. */
  lastPacketAt: number;
  /** Somebody here had a packet for the peer. */
  lastWantedAt = Number.NEGATIVE_INFINITY;
  heardAt: number | undefined;
  roundTripMs: number | undefined;
  /** Since the peer was last heard: dials that came to nothing, through no fault of our router. */
  vainDials = 0;
  stateSince: number;
  lastError: { readonly error: GateError; readonly at: number } | undefined;
  /** Keepalives that answered one of ours. */
  answers = 0;
  readonly #watchers = new Set<() => void>();
  #shown: LinkState['kind'] = 'idle';

  constructor(clock: Clock) {
    this.#clock = clock;
    this.lastPacketAt = clock.now();
    this.stateSince = clock.now();
  }

  /** Since the peer was heard last; undefined when it never was. */
  get silenceMs(): number | undefined {
    return this.heardAt === undefined ? undefined : this.#clock.now() - this.heardAt;
  }

  /** Calls `look` after each change of state, each new stream and each answer, until what it returns is called. */
  watch(look: () => void): () => void {
    this.#watchers.add(look);
    return () => void this.#watchers.delete(look);
  }

  noteAnswer(): void {
    this.answers += 1;
    this.#tell();
  }

  noteWanted(): void {
    this.lastWantedAt = this.#clock.now();
    this.lastPacketAt = this.lastWantedAt;
  }

  notePackets(count: number, bytes: number): void {
    this.heardAt = this.#clock.now();
    this.lastPacketAt = this.heardAt;
    this.traffic.add('packetsIn', count);
    this.traffic.add('bytesIn', bytes);
  }

  noteKeepalive(): void {
    this.heardAt = this.#clock.now();
  }

  /** A stream was heard for the first time: the trouble is over. */
  noteReached(): void {
    this.vainDials = 0;
    this.lastError = undefined;
  }

  noteStream(): void {
    this.#tell();
  }

  noteFailure(error: GateError): void {
    this.lastError = { error, at: this.#clock.now() };
    this.#tell();
  }

  noteDialFailure(error: GateError): void {
    if (blamesPeer(error)) this.vainDials += 1;
    this.noteFailure(error);
  }

  noteSilence(): void {
    this.noteFailure(new GateError('peer-timeout', 'link.silent', 'the peer does not answer'));
  }

  setState({ kind }: LinkState): void {
    if (kind === this.#shown) return;
    this.#shown = kind;
    this.stateSince = this.#clock.now();
    this.#tell();
  }

  #tell(): void {
    for (const look of [...this.#watchers]) look();
  }
}
