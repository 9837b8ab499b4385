/**
 * The peers that the operator configured, by every name they have. Holds who they are and what they announced that they
 * can do; nothing is ever learnt from a stranger, and only the operator changes who they are.
 */
import { GateError } from '../../kit/errors.ts';
import { isSame } from '../../kit/same.ts';
import { type Address, type Addresses, addressesOf, addressKey } from '../../wire/i2p/address.ts';
import type { B32, Destination } from '../../wire/i2p/destination.ts';
import type { AllowRule } from '../../wire/packet/allow-rule.ts';
import { LEAST_MTU, LONGEST_PACKET } from '../../wire/packet/ipv6.ts';
import type { Prefix } from '../../wire/packet/prefix.ts';

export interface PeerSettings {
  readonly name: string;
  readonly b32: B32;
  /** The whole destination where the operator gave it; otherwise the router looks it up by its hash. */
  readonly destination: Destination | undefined;
  /** Hold the link up all the time, or only while there are packets. */
  readonly connect: 'always' | 'demand';
  /** Undefined for a gateway of our kind. */
  readonly onionCat: OnionCatSettings | undefined;
  /** Networks outside the /48 that lie behind the peer: reached through it, and its to use as source. */
  readonly routes: readonly Prefix[];
  /** What it may reach here and in the networks behind us. */
  readonly allow: readonly AllowRule[];
}

/** A peer that runs OnionCat 4. It dials through a SOCKS tunnel of its router, which has a destination of its own. */
export interface OnionCatSettings {
  /** The destinations besides its own that its streams come from, or that this cannot be told. */
  readonly inbound: readonly B32[] | 'unverified';
}

export interface Peer extends Omit<PeerSettings, 'allow'> {
  readonly addresses: Addresses;
  /** As in the settings, of which the operator may change this while the gateway runs. */
  allow: readonly AllowRule[];
  /** Whether the peer's gateway takes TCP connections as flows; undefined until it has announced itself. */
  knowsFlows: boolean | undefined;
  /** The largest packet that it takes, in bytes; undefined until it has announced itself. */
  mtu: number | undefined;
  /** Whether it has announced that rows of TCP packets may be sent as one that is longer than that. */
  takesBig: boolean;
}

/** The address of ours that a peer knows us by: an OnionCat knows no other than the ocat4 one. */
export function ownAddressFor({ onionCat }: Pick<Peer, 'onionCat'>, own: Addresses): Address {
  return onionCat === undefined ? own.oc : own.ocat4;
}

/** The address that a peer itself goes by: an OnionCat has no other than its ocat4 address. */
export function shownAddress({ onionCat, addresses }: Peer): Address {
  return onionCat === undefined ? addresses.oc : addresses.ocat4;
}

/** What an OnionCat takes, since it leaves its interface as the kernel made it; and what is assumed of who says nothing. */
export const ASSUMED_MTU = 1500;

/** The longest packet that may be sent to a peer, in bytes. One that has said nothing yet may take anything. */
export function longestFor({ mtu }: Peer): number {
  return mtu === undefined ? LONGEST_PACKET : Math.max(mtu, LEAST_MTU);
}

export interface PeerTable {
  byAddress(key: string): Peer | undefined;
  /** By its own destination. */
  byB32(b32: B32): Peer | undefined;
  /** By a destination that its streams may come from. */
  byOrigin(b32: B32): Peer | undefined;
  /** Some peer's streams may come from anybody. */
  readonly hasUnverified: boolean;
  /** @param name in lower case, which tells peers apart too */
  byName(name: string): Peer | undefined;
  /** Is it still one of ours? One that comes back later is another one. */
  has(peer: Peer): boolean;
  list(): readonly Peer[];
  /**
   * What it would take to have these peers instead. Nothing happens before `commit`.
   *
   * @throws GateError `config` for a second destination with the same 80 bits
   */
  plan(settings: readonly PeerSettings[]): PeerPlan;
}

/** A peer whose rules alone are others stays the one it was; one that differs in anything else goes, and comes anew. */
export interface PeerPlan {
  readonly removed: readonly Peer[];
  readonly added: readonly Peer[];
  /** Those that stay, with other rules. */
  readonly regulated: readonly Peer[];
  /** All peers as they will be. Those that stay are copies here. */
  readonly outcome: readonly Peer[];
  /** From now on the table holds the new peers, and those that stay have their new rules. */
  commit(): void;
}

/**
 * @param own our addresses, which no peer may share
 * @throws GateError `config` for a second destination with the same 80 bits
 */
export function createPeerTable(settings: readonly PeerSettings[], own: Addresses): PeerTable {
  let index = indexOf(settings.map(newPeer), own);
  let current = settings;
  return {
    byAddress: (key) => index.byAddress.get(key),
    byB32: (b32) => index.byB32.get(b32),
    byOrigin: (b32) => index.byOrigin.get(b32),
    get hasUnverified() {
      return index.hasUnverified;
    },
    byName: (name) => index.byName.get(name),
    has: (peer) => index.byB32.get(peer.b32) === peer,
    list: () => index.peers,
    plan: (wanted) => {
      const next = wanted.map((one) => {
        const before = current.find(({ b32 }) => b32 === one.b32);
        const staying = before !== undefined && differOnlyInRules(before, one) ? index.byB32.get(one.b32) : undefined;
        return { one, peer: staying ?? newPeer(one) };
      });
      const peers = next.map(({ peer }) => peer);
      const planned = indexOf(peers, own);
      const staying = new Set(peers);
      return {
        removed: index.peers.filter((peer) => !staying.has(peer)),
        added: peers.filter((peer) => index.byB32.get(peer.b32) !== peer),
        regulated: next.flatMap(({ one, peer }) => (isSame(peer.allow, one.allow) ? [] : [peer])),
        outcome: next.map(({ one, peer }) => ({ ...peer, allow: one.allow })),
        commit: () => {
          for (const { one, peer } of next) peer.allow = one.allow;
          index = planned;
          current = wanted;
        },
      };
    },
  };
}

interface PeerIndex {
  readonly peers: readonly Peer[];
  readonly byAddress: ReadonlyMap<string, Peer>;
  readonly byB32: ReadonlyMap<string, Peer>;
  readonly byOrigin: ReadonlyMap<string, Peer>;
  readonly byName: ReadonlyMap<string, Peer>;
  readonly hasUnverified: boolean;
}

/** @throws GateError `config` for a second destination with the same 80 bits */
function indexOf(peers: readonly Peer[], own: Addresses): PeerIndex {
  const byB32 = new Map<string, Peer>();
  const byOrigin = new Map<string, Peer>();
  const byName = new Map<string, Peer>();
  const byAddress = new Map<string, Peer>();
  const ours = new Set([addressKey(own.oc), addressKey(own.ocat4)]);
  const claim = (address: Address, peer: Peer) => {
    const key = addressKey(address);
    const holder = byAddress.get(key);
    if (ours.has(key) || (holder !== undefined && holder !== peer)) {
      const message =
        holder === undefined
          ? `peer ${peer.name} has an address of this gateway: it is this gateway itself, or imitates it; remove it`
          : `peer ${peer.name} has an address of peer ${holder.name}: one of the two imitates the other; remove that one`;
      throw new GateError('config', 'peer.address-taken', message);
    }
    byAddress.set(key, peer);
  };
  for (const peer of peers) {
    claim(peer.addresses.oc, peer);
    claim(peer.addresses.ocat4, peer);
    byB32.set(peer.b32, peer);
    for (const b32 of listedOrigins(peer)) byOrigin.set(b32, peer);
    byName.set(peer.name.toLowerCase(), peer);
  }
  const hasUnverified = peers.some(({ onionCat }) => onionCat?.inbound === 'unverified');
  return { peers, byAddress, byB32, byOrigin, byName, hasUnverified };
}

function differOnlyInRules(one: PeerSettings, other: PeerSettings): boolean {
  return isSame({ ...one, allow: [] }, { ...other, allow: [] });
}

function newPeer(settings: PeerSettings): Peer {
  const isOnionCat = settings.onionCat !== undefined;
  return {
    ...settings,
    addresses: addressesOf(settings.b32),
    knowsFlows: isOnionCat ? false : undefined,
    mtu: isOnionCat ? ASSUMED_MTU : undefined,
    takesBig: false,
  };
}

function listedOrigins({ b32, onionCat }: PeerSettings): readonly B32[] {
  const others = onionCat?.inbound ?? [];
  return others === 'unverified' ? [b32] : [b32, ...others];
}
