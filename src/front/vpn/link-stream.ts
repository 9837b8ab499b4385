/**
 * One stream of a link as the link uses it: keepalives and packets as a Duplex for the relay, and what is known of its
 * life. Decides nothing; link-policy does.
 */
import { randomInt } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Origin } from '../../core/inbound/switch.ts';
import { ownAddressFor, type Peer, shownAddress } from '../../core/peers/table.ts';
import { canLimitUnsent, type PacketRun } from '../../core/ports.ts';
import type { Clock } from '../../kit/clock.ts';
import type { Addresses } from '../../wire/i2p/address.ts';
import type { B32 } from '../../wire/i2p/destination.ts';
import { flowLabelOf } from '../../wire/packet/ipv6.ts';
import { type Announcement, encodeKeepalive, parseKeepalive } from '../../wire/packet/keepalive.ts';
import type { Refusal } from './admission.ts';
import type { BigPacketsOffer } from './big-packets.ts';
import { InFlight } from './in-flight.ts';
import { InboundPackets, type Judge } from './inbound-packets.ts';
import type { Direction, StreamFacts, StreamStanding } from './link-policy.ts';
import { createPacketDuplex, type PacketDuplex } from './packet-duplex.ts';

export interface LinkStreamParts {
  readonly direction: Direction;
  readonly origin: Origin;
  readonly peer: Peer;
  readonly own: { readonly b32: B32; readonly addresses: Addresses };
  /** 20 bits, the same on every stream over one build of our session. */
  readonly flowLabel: number;
  readonly takesFlows: boolean;
  /** Announced: the largest packet that we take, and whether rows of packets may be longer. */
  readonly big: BigPacketsOffer;
  readonly clock: Clock;
  /** The I2P stream that it will be joined to; only its socket is looked at. */
  readonly line: Duplex;
  /** Packets to be sent on this stream, about `room` bytes, if it is this stream's turn and there are any. */
  pull(stream: LinkStream, room: number): Buffer | undefined;
  /** What was pulled last is still in use. */
  kept(): void;
  /** The peer is there, at the other end of this stream. @param before how the stream stood until now */
  heard(stream: LinkStream, before: 'new' | 'doubted'): void;
  /** Packets for the TUN; borrowed until it returns. */
  packets(run: PacketRun, count: number): void;
  /** @param label the flow label of the keepalive that said so */
  announced(announcement: Announcement | undefined, label: number): void;
  judge: Judge;
  refused(refusal: Refusal): void;
  /** The peer has lost the framing; the stream is being closed. */
  failed(error: unknown): void;
}

/**
 * Packets that are handed over at once: enough to make a write worth its system call, few enough to be caught by a change
 * of mind. A fast line gets what it carries in a moment. Bytes.
 */
const BATCH = { least: 32 * 1024, most: 256 * 1024 };
/** What the kernel takes ahead of the router: enough that it never has to wait for us. Bytes. */
const UNSENT = { least: 16 * 1024, most: 512 * 1024 };

/** So many stamps there are. */
const STAMPS = 2 ** 32;

/** A keepalive that is to go before the next packet; one says all there is to say, however often it was asked for. */
interface KeepaliveDue {
  readonly wantsAnswer: boolean;
}

export class LinkStream implements StreamFacts {
  readonly direction: Direction;
  readonly mayCarry: boolean;
  readonly openedAt: number;
  firstHeardAt: number;
  lastHeardAt: number;
  lastSentAt: number;
  lastPacketSentAt: number;
  probedAt: number | undefined;
  answers = false;
  readonly #parts: LinkStreamParts;
  readonly #duplex: PacketDuplex;
  readonly #inFlight = new InFlight();
  #standing: StreamStanding = 'new';
  #due: KeepaliveDue | undefined;
  #unsent = 0;
  /** Stamp of a keepalive of the peer that wants an answer. */
  #toEcho: number | undefined;
  #received = 0;
  #isVouched = false;
  /** The peer says what has arrived, so that what is under way can be bounded. */
  #isMeasured = false;
  /** Since the stream is new, or doubted: an answer that was asked for before may be from before the way was cut. */
  #suspectSince: number;
  #wasAskedForProof = false;

  constructor(parts: LinkStreamParts) {
    this.#parts = parts;
    this.direction = parts.direction;
    this.mayCarry = parts.origin === 'verified';
    this.openedAt = parts.clock.now();
    this.#suspectSince = this.openedAt;
    this.firstHeardAt = this.openedAt;
    this.lastHeardAt = this.openedAt;
    this.lastSentAt = this.openedAt;
    this.lastPacketSentAt = this.openedAt;
    this.#limitUnsent(UNSENT.least);
    const inbound = new InboundPackets(parts.judge, {
      packets: (run, count) => {
        if (this.#beginProof()) this.sendKeepalive(true);
        this.#noteHeard(false);
        parts.packets(run, count);
      },
      keepalive: (packet) => this.#receivedKeepalive(packet),
      refused: parts.refused,
    });
    this.#duplex = createPacketDuplex({
      pull: () => this.#pull(),
      kept: () => parts.kept(),
      deliver: (bytes) => {
        this.#received += bytes.length;
        try {
          inbound.push(bytes);
        } catch (error) {
          parts.failed(error);
          throw error;
        }
      },
    });
  }

  get standing(): StreamStanding {
    return this.#standing;
  }

  get isVouched(): boolean {
    return this.#isVouched;
  }

  /** For the relay. */
  get duplex(): Duplex {
    return this.#duplex.stream;
  }

  /** There are packets for it again. */
  wake(): void {
    this.#duplex.wake();
  }

  /** Round trip of the last answers, smoothed; undefined before the first, and for ever where the peer measures nothing. */
  get roundTripMs(): number | undefined {
    return this.#inFlight.roundTripMs;
  }

  /** What is sent and has not arrived, as far as we know, and its bound; undefined where the peer measures nothing. */
  get underWay(): { readonly bytes: number; readonly limit: number } | undefined {
    return this.#isMeasured ? { bytes: this.#inFlight.underWay, limit: this.#inFlight.limit } : undefined;
  }

  /** What the line carries in a moment, as far as is known. Bytes. */
  get momentBytes(): number {
    return this.#inFlight.momentBytes;
  }

  sendKeepalive(wantsAnswer: boolean): void {
    if (!this.mayCarry) return;
    this.#due = { wantsAnswer: wantsAnswer || this.#due?.wantsAnswer === true };
    this.wake();
  }

  /** Asks for a sign of life, or gives one where the peer knows no answer. */
  probe(): void {
    if (this.answers) this.probedAt = this.#parts.clock.now();
    this.sendKeepalive(this.answers);
  }

  /** Carries nothing of ours until the peer is heard on it again. */
  doubt(): void {
    this.#standing = 'doubted';
    this.#suspectSince = this.#parts.clock.now();
    this.#wasAskedForProof = false;
  }

  /** Ends it in a regular way; what the peer still says on it is heard. */
  retire(): void {
    this.#standing = 'retired';
    this.#duplex.finish();
  }

  destroy(): void {
    this.#duplex.stream.destroy();
  }

  /** Somebody has spoken in the peer's name, which may have come of this stream. */
  vouch(): void {
    if (this.#standing === 'new') this.#isVouched = true;
    this.#noteArrival();
  }

  /**
   * The peer has spoken on this stream. Where it measures, that alone proves little: routers bring what was said on streams
   * that the peer has long given up, and after a cut one direction may stand before the other.
   *
   * @param isProof it has answered something that we asked for since the stream is new, or doubted
   */
  #noteHeard(isProof: boolean): void {
    this.#isVouched = false;
    if (isProof || !this.#isMeasured) this.#noteArrival();
    else this.#noteWord();
  }

  /** @returns whether the peer is to be asked now for an answer that proves it: once since the stream is new, or doubted */
  #beginProof(): boolean {
    const isOpen = this.#standing === 'new' || this.#standing === 'doubted';
    if (!isOpen || !this.#isMeasured || this.#wasAskedForProof) return false;
    this.#wasAskedForProof = true;
    return true;
  }

  #noteWord(): void {
    this.lastHeardAt = this.#parts.clock.now();
    this.probedAt = undefined;
  }

  #noteArrival(): void {
    this.#noteWord();
    const before = this.#standing;
    if (before === 'heard' || before === 'retired') return;
    if (before === 'new') this.firstHeardAt = this.lastHeardAt;
    this.#standing = 'heard';
    this.#parts.heard(this, before);
  }

  #pull(): Buffer | undefined {
    const now = this.#parts.clock.now();
    const bytes = this.#keepalive(now) ?? this.#packets(now);
    if (bytes !== undefined) this.lastSentAt = now;
    return bytes;
  }

  #packets(now: number): Buffer | undefined {
    const batch = within(BATCH, this.#inFlight.momentBytes);
    const room = this.#isMeasured ? Math.min(this.#inFlight.requestRoom(), batch) : batch;
    const bytes = room > 0 ? this.#parts.pull(this, room) : undefined;
    if (bytes === undefined) return undefined;
    this.lastPacketSentAt = now;
    this.#inFlight.sent(bytes.length, now);
    if (this.#isMeasured && this.#inFlight.wantsAsk) this.#due = { wantsAnswer: true };
    return bytes;
  }

  /** The one that is due, written at the last moment so that it says how things stand. */
  #keepalive(now: number): Buffer | undefined {
    const due = this.#due;
    if (due === undefined) return undefined;
    this.#due = undefined;
    // Whoever could guess it would be believed that what we send arrives.
    const stamp = randomInt(STAMPS);
    const { own, peer, flowLabel, takesFlows, big } = this.#parts;
    const isOnionCat = peer.onionCat !== undefined;
    const measurement = { stamp, echo: this.#toEcho, received: this.#received };
    const bytes = encodeKeepalive({
      source: ownAddressFor(peer, own.addresses),
      destination: shownAddress(peer),
      flowLabel,
      name: own.b32,
      announcement: isOnionCat
        ? undefined
        : {
            wantsAnswer: due.wantsAnswer,
            knowsFlows: takesFlows,
            ...(big.takesBig ? { takesBig: true } : {}),
            mtu: big.mtu,
            measurement,
          },
    });
    this.#toEcho = undefined;
    this.#inFlight.sent(bytes.length, now);
    if (due.wantsAnswer) this.#inFlight.asked(stamp, now);
    return bytes;
  }

  #receivedKeepalive(packet: Buffer): void {
    const announcement = this.#parts.peer.onionCat === undefined ? parseKeepalive(packet).announcement : undefined;
    this.answers = announcement !== undefined;
    const measurement = announcement?.measurement;
    this.#isMeasured ||= measurement !== undefined;
    let askedAt: number | undefined;
    if (measurement?.echo !== undefined) {
      askedAt = this.#inFlight.answered(measurement.echo, measurement.received, this.#parts.clock.now());
      this.#fitSocket();
    }
    // Before it counts as heard, and packets that wait may go: they have to fit it, and come behind our own announcement.
    this.#parts.announced(announcement, flowLabelOf(packet));
    const isProof = askedAt !== undefined && askedAt >= this.#suspectSince;
    const asks = !isProof && this.#beginProof();
    if (announcement?.wantsAnswer === true) this.#toEcho = measurement?.stamp;
    if (announcement?.wantsAnswer === true || asks) this.sendKeepalive(asks);
    this.#noteHeard(isProof);
    this.wake();
  }

  /** The kernel is asked only when it makes a difference. */
  #fitSocket(): void {
    const wanted = within(UNSENT, this.#inFlight.momentBytes);
    if (wanted < this.#unsent * 2 && wanted * 2 > this.#unsent) return;
    this.#limitUnsent(wanted);
  }

  #limitUnsent(bytes: number): void {
    this.#unsent = bytes;
    const { line } = this.#parts;
    if (canLimitUnsent(line)) line.limitUnsent(bytes);
  }
}

function within({ least, most }: { readonly least: number; readonly most: number }, bytes: number): number {
  return Math.round(Math.min(Math.max(bytes, least), most));
}
