/**
 * One stream of a link as the link uses it: keepalives and packets as a Duplex for the relay, and what is known of its
 * life. Decides nothing; link-policy does.
 */
import type { Duplex } from 'node:stream';
import type { Origin } from '../../core/inbound/switch.ts';
import { type Peer, shownAddress } from '../../core/peers/table.ts';
import type { PacketRun } from '../../core/ports.ts';
import type { Clock } from '../../kit/clock.ts';
import type { Addresses } from '../../wire/i2p/address.ts';
import type { B32 } from '../../wire/i2p/destination.ts';
import { type Announcement, encodeKeepalive, parseKeepalive } from '../../wire/packet/keepalive.ts';
import type { Verdict } from './admission.ts';
import { InboundPackets } from './inbound-packets.ts';
import type { Direction, StreamFacts } from './link-policy.ts';
import { type PacketDuplex, packetDuplex } from './packet-duplex.ts';

export interface LinkStreamParts {
  readonly direction: Direction;
  readonly origin: Origin;
  readonly peer: Peer;
  readonly own: { readonly b32: B32; readonly addresses: Addresses };
  /** 20 bits, the same on every stream of the link. */
  readonly flowLabel: number;
  readonly takesFlows: boolean;
  /** Announced: the largest packet that we take. */
  readonly mtu: number;
  readonly clock: Clock;
  /** Packets to be sent on this stream, if it is this stream's turn and there are any. */
  pull(stream: LinkStream): Buffer | undefined;
  /** The peer has spoken, with whatever comes next. */
  heard(stream: LinkStream): void;
  /** Packets for the TUN; borrowed until it returns. */
  packets(run: PacketRun, count: number): void;
  announced(announcement: Announcement | undefined): void;
  refused(verdict: Exclude<Verdict, 'admit'>): void;
  /** The peer has lost the framing; the stream is being closed. */
  failed(error: unknown): void;
}

/** Keepalives that wait on one stream; a peer that asks faster than it reads gets no more. */
const KEEPALIVES_HELD = 4;

export class LinkStream implements StreamFacts {
  readonly direction: Direction;
  readonly mayCarry: boolean;
  readonly openedAt: number;
  heard = false;
  lastHeardAt: number;
  lastSentAt: number;
  probedAt: number | undefined;
  answers = false;
  retired = false;
  readonly #parts: LinkStreamParts;
  readonly #duplex: PacketDuplex;
  readonly #keepalives: Buffer[] = [];

  constructor(parts: LinkStreamParts) {
    this.#parts = parts;
    this.direction = parts.direction;
    this.mayCarry = parts.origin === 'verified';
    this.openedAt = parts.clock.now();
    this.lastHeardAt = this.openedAt;
    this.lastSentAt = this.openedAt;
    const inbound = new InboundPackets(parts.peer.addresses, parts.own.addresses, {
      packets: (run, count) => {
        this.hear();
        parts.packets(run, count);
      },
      keepalive: (packet) => this.#receivedKeepalive(packet),
      refused: parts.refused,
    });
    this.#duplex = packetDuplex({
      pull: () => this.#pull(),
      deliver: (bytes) => {
        try {
          inbound.push(bytes);
        } catch (error) {
          parts.failed(error);
          throw error;
        }
      },
    });
  }

  /** For the relay. */
  get duplex(): Duplex {
    return this.#duplex.stream;
  }

  /** There are packets for it again. */
  wake(): void {
    this.#duplex.wake();
  }

  sendKeepalive(wantsAnswer: boolean): void {
    if (this.#keepalives.length >= KEEPALIVES_HELD || !this.mayCarry) return;
    const { own, peer, flowLabel, takesFlows, mtu } = this.#parts;
    const isOnionCat = peer.onionCat !== undefined;
    this.#keepalives.push(
      encodeKeepalive({
        source: isOnionCat ? own.addresses.ocat4 : own.addresses.oc,
        destination: shownAddress(peer),
        flowLabel,
        name: own.b32,
        announcement: isOnionCat ? undefined : { wantsAnswer, knowsFlows: takesFlows, mtu },
      }),
    );
    this.wake();
  }

  /** Asks for a sign of life, or gives one where the peer knows no answer. */
  probe(): void {
    if (this.answers) this.probedAt = this.#parts.clock.now();
    this.sendKeepalive(this.answers);
  }

  /** Ends it in a regular way; what the peer still says on it is heard. */
  retire(): void {
    this.retired = true;
    this.#duplex.finish();
  }

  destroy(): void {
    this.#duplex.stream.destroy();
  }

  /** The peer has spoken: on this stream, or on one that only it can have opened because of this one. */
  hear(): void {
    this.lastHeardAt = this.#parts.clock.now();
    this.probedAt = undefined;
    if (this.heard) return;
    this.heard = true;
    this.#parts.heard(this);
  }

  #pull(): Buffer | undefined {
    const bytes = this.#keepalives.shift() ?? this.#parts.pull(this);
    if (bytes !== undefined) this.lastSentAt = this.#parts.clock.now();
    return bytes;
  }

  #receivedKeepalive(packet: Buffer): void {
    const announcement = this.#parts.peer.onionCat === undefined ? parseKeepalive(packet).announcement : undefined;
    this.answers = announcement !== undefined;
    this.hear();
    this.#parts.announced(announcement);
    if (announcement?.wantsAnswer === true) this.sendKeepalive(false);
  }
}
