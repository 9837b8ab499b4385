/**
 * Addresses in place of names, for clients that cannot ask for a name (Tor's RESOLVE): which address of the VPN stands for
 * a destination, and which destination stands behind an address.
 *
 * An address has 80 bits of the destination's hash and identifies nobody. So whatever was told to a client is remembered
 * with the whole hash, for a while, for that client's identity alone; nothing is ever learnt from anybody else.
 */
import type { Clock } from '../../kit/clock.ts';
import { GateError } from '../../kit/errors.ts';
import { type Address, addressesOf, addressKey } from '../../wire/i2p/address.ts';
import type { B32, NamedDestination } from '../../wire/i2p/destination.ts';
import { hostNameOf } from '../../wire/i2p/hostname.ts';
import { type DialTarget, targetOf } from '../dial/target.ts';
import type { PeerTable } from '../peers/table.ts';
import { mayReachPeers, type SessionKey } from '../session/key.ts';
import { IdentityCaches } from './identity-caches.ts';
import type { Resolver } from './resolver.ts';

export interface MappedName {
  /** That the client asked for. */
  readonly name: string;
  readonly destination: NamedDestination;
}

export interface AddressNames {
  /**
   * The destination that a client means.
   *
   * @throws GateError `name-unknown`, `peer-unreachable` for an address that is nobody's, `policy` for one of the VPN that
   *   the asker is kept apart from, or as `Resolver.resolve`
   */
  identify(target: DialTarget, asker: SessionKey, signal: AbortSignal): Promise<NamedDestination>;
  /**
   * The oc address of what a client asks for.
   *
   * @param asker whoever this is told will be able to use it, and nobody else
   * @throws GateError as `identify` and `tell`
   */
  addressOf(target: DialTarget, asker: SessionKey, signal: AbortSignal): Promise<Address>;
  /** A name that can be asked for in place of the address. @throws GateError `name-unknown`, `policy` as `identify` */
  nameOf(address: Address, asker: SessionKey): string;
  /** An address that was told to the asker becomes what it was told for; everything else stays. */
  meaningOf(target: DialTarget, asker: SessionKey): DialTarget;
  /** What an address was told for to the asker; undefined for every other target. */
  mappedName(target: DialTarget, asker: SessionKey): MappedName | undefined;
  /** Tells the address of a destination. @throws GateError `policy` when the same 80 bits stand for somebody else */
  tell(name: string, destination: NamedDestination, asker: SessionKey): Address;
}

export interface AddressNamesParts {
  readonly resolver: Pick<Resolver, 'resolve'>;
  readonly peers: PeerTable;
  /** Our own destination. */
  readonly own: B32;
  readonly clock: Clock;
}

/** From its last use. Programs look a name up once and connect for as long as they run, mostly at once. */
const REMEMBERED_MS = 60 * 60_000;

export function createAddressNames({ resolver, peers, own, clock }: AddressNamesParts): AddressNames {
  const told = new IdentityCaches<MappedName>();
  const ownAddresses = addressesOf(own);
  const ours = new Set([addressKey(ownAddresses.oc), addressKey(ownAddresses.ocat4)]);

  const recall = (address: Address, asker: SessionKey): MappedName | undefined => {
    const cache = told.find(asker);
    const key = addressKey(address);
    const known = cache?.get(key, clock.now());
    if (known !== undefined) cache?.set(key, known, clock.now() + REMEMBERED_MS);
    return known;
  };

  /**
   * Whose address of the VPN it is; undefined for nobody's. The address says half as much as the answer: whoever goes out
   * under another destination than the gateway's must not learn from us which one that is, nor who its peers are.
   */
  const ownerOf = (address: Address, asker: SessionKey): B32 | undefined => {
    const key = addressKey(address);
    if (ours.has(key)) {
      if (asker.kind !== 'gateway') throw keptApart();
      return own;
    }
    const peer = peers.byAddress(key);
    if (peer !== undefined && !mayReachPeers(asker)) throw keptApart();
    return peer?.b32;
  };

  const tell = (name: string, destination: NamedDestination, asker: SessionKey): Address => {
    const { b32 } = destination;
    const address = addressesOf(b32).oc;
    const key = addressKey(address);
    if (b32 === own || peers.byB32(b32) !== undefined) return address;
    const before = recall(address, asker);
    if (
      ours.has(key) ||
      peers.byAddress(key) !== undefined ||
      (before !== undefined && before.destination.b32 !== b32)
    ) {
      throw new GateError(
        'policy',
        'naming.address-taken',
        'this destination shares its address with another one; connect to it by its name',
      );
    }
    told.of(asker).set(key, { name, destination }, clock.now() + REMEMBERED_MS);
    return address;
  };

  const mappedName: AddressNames['mappedName'] = (target, asker) =>
    target.kind !== 'address' || peers.byAddress(addressKey(target.address)) !== undefined
      ? undefined
      : recall(target.address, asker);

  const meaningOf: AddressNames['meaningOf'] = (target, asker) => {
    const known = mappedName(target, asker);
    return known === undefined ? target : targetOf(known.destination);
  };

  const identify: AddressNames['identify'] = async (asked, asker, signal) => {
    const target = meaningOf(asked, asker);
    switch (target.kind) {
      case 'b32':
        return { b32: target.b32, base64: undefined };
      case 'destination':
        return target.destination;
      case 'host':
        return resolver.resolve(target.host, asker, signal);
      case 'peer': {
        if (!mayReachPeers(asker)) throw keptApart();
        const peer = peers.byName(target.name);
        if (peer !== undefined) return { b32: peer.b32, base64: peer.destination?.base64 };
        throw new GateError('name-unknown', 'dial.unknown-peer', 'no configured peer has this name; see [[peer]]');
      }
      case 'address': {
        const b32 = ownerOf(target.address, asker);
        if (b32 !== undefined) return { b32, base64: undefined };
        throw unknownAddress('peer-unreachable');
      }
      case 'b33':
        throw new GateError(
          'name-unknown',
          'naming.encrypted',
          'the destination behind an encrypted lease set is not told; it can only be connected to, by its name',
        );
      default:
        return target satisfies never;
    }
  };

  return {
    identify,
    meaningOf,
    mappedName,
    tell,
    addressOf: async (target, asker, signal) => {
      const destination = await identify(target, asker, signal);
      // A name that the client asked for says more to it than the hash.
      return tell(target.kind === 'host' ? target.host : hostNameOf(destination.b32), destination, asker);
    },
    nameOf: (address, asker) => {
      const b32 = ownerOf(address, asker);
      if (b32 !== undefined) return hostNameOf(b32);
      const known = recall(address, asker);
      if (known === undefined) throw unknownAddress('name-unknown');
      return known.name;
    },
  };
}

function unknownAddress(kind: 'name-unknown' | 'peer-unreachable'): GateError {
  return new GateError(kind, 'naming.unknown-address', 'no peer has this address, and it was told to nobody who asks');
}

function keptApart(): GateError {
  return new GateError(
    'policy',
    'naming.kept-apart',
    'whose address of the VPN this is, is told only to clients that go out under the destination of the gateway',
  );
}
