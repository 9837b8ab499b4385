/** What every link needs of the gateway around it. Types only. */
import type { RelayEnd } from '../../core/dial/target.ts';
import type { Peer } from '../../core/peers/table.ts';
import type { PacketRun } from '../../core/ports.ts';
import type { Relay } from '../../core/relay/report.ts';
import type { Blocks } from '../../kit/blocks.ts';
import type { Clock } from '../../kit/clock.ts';
import type { Logger } from '../../kit/log.ts';
import type { Addresses } from '../../wire/i2p/address.ts';
import type { B32 } from '../../wire/i2p/destination.ts';
import type { Waiting } from '../../wire/packet/icmpv6.ts';
import type { PacketAdmission } from './admission.ts';
import type { BigPacketsOffer } from './big-packets.ts';
import type { FairQueueLimits } from './fair-queue.ts';

export interface LinkEnvironment {
  readonly own: { readonly b32: B32; readonly addresses: Addresses };
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly relay: Relay;
  readonly queue: FairQueueLimits;
  /** Memory for packets that wait, shared by all links. */
  readonly blocks: Blocks;
  readonly takesFlows: boolean;
  readonly big: BigPacketsOffer;
  readonly admission: PacketAdmission;
  /** @param isUrgent see PacketDialer */
  dial(peer: Peer, signal: AbortSignal, isUrgent: () => boolean): Promise<RelayEnd>;
  /** Of our session (core/session/label.ts), 20 bits. */
  label(): number;
  /**
   * The peer says which session it speaks on.
   *
   * @param openedAt when the stream was opened on which it says so
   */
  labelHeard(peer: Peer, label: number, openedAt: number): void;
  /** Packets for the TUN; borrowed until it returns. @param segment see TunPort.write */
  deliver(run: PacketRun, segment: number | undefined): void;
  /** Super-packets to some peer are to be cut again. */
  cut(): void;
  /** The peer is away, and a packet waits for it, or has waited in vain. Borrowed until it returns. */
  away(packet: Buffer, waiting: Waiting): void;
  /** A packet waited for the peer, which takes none so long. */
  tooBig(packet: Buffer): void;
}
