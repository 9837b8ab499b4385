/** What can be dialled, and what comes of it. */
import type { Duplex } from 'node:stream';
import type { SharesSnapshot } from '../../kit/shares.ts';
import type { Address } from '../../wire/i2p/address.ts';
import type { B32, Destination, NamedDestination } from '../../wire/i2p/destination.ts';
import type { Peer } from '../peers/table.ts';
import type { SessionKey } from '../session/key.ts';

export type DialTarget =
  | { readonly kind: 'b32'; readonly b32: B32 }
  | { readonly kind: 'destination'; readonly destination: Destination }
  /** A name for the aliases of the config and the router's address book. */
  | { readonly kind: 'host'; readonly host: string }
  /** The name of an encrypted lease set, which the router takes as it is. */
  | { readonly kind: 'b33'; readonly host: string }
  /** A TCP service of a peer, by its name in the config. Lower case. */
  | { readonly kind: 'peer'; readonly name: string }
  /** A TCP service of a peer, by one of its addresses. */
  | { readonly kind: 'address'; readonly address: Address };

export function targetOf({ b32, base64 }: NamedDestination): DialTarget {
  return base64 === undefined ? { kind: 'b32', b32 } : { kind: 'destination', destination: { b32, base64 } };
}

export interface DialOptions {
  readonly session: SessionKey;
  /** Who wants it, wherever it leads and over whatever session: of the dials under way each has a share. */
  readonly asker: SessionKey;
  /** TCP port asked for, 1..65535; for I2P destinations SAM 3.2's TO_PORT where the bridge knows it. */
  readonly port: number;
  /** Asked when a name turns out to be this destination, before it is dialled. @throws GateError `policy` */
  readonly permit: (host: string, b32: B32) => void;
  readonly signal: AbortSignal;
}

/** One side of a relay. */
export interface RelayEnd {
  readonly stream: Duplex;
  /** False where the end of one direction ends both, as on every stream got through SAM. */
  readonly halfClose: boolean;
}

/** The single door outward, for what clients want to reach. */
export interface Dialer {
  /** Under way for clients. */
  dials(): SharesSnapshot;
  /** @throws GateError of any of the kinds `router-*`, `session-lost`, `name-*`, `peer-*`, `limit`, `cancelled` */
  dial(target: DialTarget, options: DialOptions): Promise<RelayEnd>;
}

/** The same door, for the packets of the VPN. */
export interface PacketDialer {
  /**
   * A bare stream to the gateway of a peer.
   *
   * @param isUrgent whether somebody waits for the peer, who goes before those links that are only to be kept
   * @throws GateError as `Dialer.dial`
   */
  openPacketStream(
    to: Pick<Peer, 'b32' | 'destination'>,
    signal: AbortSignal,
    isUrgent: () => boolean,
  ): Promise<RelayEnd>;
  /** One to our own, from the destination that the echo has for that. @throws GateError as `Dialer.dial` */
  openOwnEcho(own: B32, signal: AbortSignal): Promise<RelayEnd>;
}
