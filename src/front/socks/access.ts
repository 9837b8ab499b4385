/**
 * What the operator lets the clients of one listener have: which clients, which destinations, which ports. Pure. Whether
 * something lies inside I2P at all was asked before, in `policy.ts`.
 */
import ipaddr from 'ipaddr.js';
import type { DialTarget } from '../../core/dial/target.ts';
import type { MappedName } from '../../core/naming/addresses.ts';
import type { Peer, PeerTable } from '../../core/peers/table.ts';
import { GateError } from '../../kit/errors.ts';
import { type AccessList, admits, type HostRule } from '../../wire/access/rules.ts';
import { type Address, addressKey } from '../../wire/i2p/address.ts';
import type { B32 } from '../../wire/i2p/destination.ts';
import { hostNameOf, hostNameOfAddress, hostNameOfPeer } from '../../wire/i2p/hostname.ts';
import { inRange, type PortRange } from '../../wire/packet/port-range.ts';
import { contains, type Prefix } from '../../wire/packet/prefix.ts';

export interface AccessLists {
  readonly clients: AccessList<Prefix>;
  readonly destinations: AccessList<HostRule>;
  readonly ports: AccessList<PortRange>;
}

export interface Access {
  /** @param address of the client; one of a unix socket has none, and is let in by the permissions of the socket */
  admitsClient(address: string | undefined): boolean;
  /**
   * @param port undefined where none is asked for
   * @param behind who an address that is no peer's stands for, where that is known
   * @returns why not
   */
  objection(target: DialTarget, port: number | undefined, behind?: B32): GateError | undefined;
  /** The same again for a name that turned out to be this destination. */
  objectionTo(host: string, b32: B32): GateError | undefined;
  /** To an address that was told in place of a name, which is allowed where the name is. */
  objectionToMapped(told: MappedName, port: number | undefined): GateError | undefined;
  /** The part of `objection` that is about the port. */
  objectionToPort(port: number | undefined): GateError | undefined;
}

/** Code of the errors made here. */
export const DENIED = 'socks.denied';

/** What is known of a host before it is reached. */
interface HostFacts {
  /** As the client named it, an address by its short name. */
  readonly name: string;
  readonly b32: B32 | undefined;
  readonly peer: Peer | undefined;
  readonly addresses: readonly Address[];
}

export function createAccess(
  { clients, destinations, ports }: AccessLists,
  peers: Pick<PeerTable, 'byAddress' | 'byB32' | 'byName'>,
): Access {
  const unlisted = (address: Address | undefined, b32: B32 | undefined, name: string): HostFacts => ({
    name,
    b32,
    peer: undefined,
    addresses: address === undefined ? [] : [address],
  });
  const factsOfPeer = (peer: Peer, name: string): HostFacts => ({
    name,
    b32: peer.b32,
    peer,
    addresses: [peer.addresses.oc, peer.addresses.ocat4],
  });
  const factsOfDestination = (b32: B32, name: string): HostFacts => {
    const peer = peers.byB32(b32);
    return peer === undefined ? unlisted(undefined, b32, name) : factsOfPeer(peer, name);
  };
  const factsOf = (target: DialTarget, behind: B32 | undefined): HostFacts => {
    switch (target.kind) {
      case 'b32':
        return factsOfDestination(target.b32, hostNameOf(target.b32));
      case 'destination':
        return factsOfDestination(target.destination.b32, hostNameOf(target.destination.b32));
      case 'peer': {
        const peer = peers.byName(target.name);
        const name = hostNameOfPeer(target.name);
        return peer === undefined ? unlisted(undefined, undefined, name) : factsOfPeer(peer, name);
      }
      case 'address': {
        const peer = peers.byAddress(addressKey(target.address));
        const name = hostNameOfAddress(target.address);
        return peer === undefined ? unlisted(target.address, behind, name) : factsOfPeer(peer, name);
      }
      case 'host':
      case 'b33':
        return unlisted(undefined, undefined, target.host);
      default:
        return target satisfies never;
    }
  };
  const objectionToPort = (port: number | undefined) =>
    port === undefined || admits(ports, (range) => inRange(port, range)) ? undefined : denied('a port', 'socks.ports');
  const admitsHost = (facts: HostFacts, list = destinations) => admits(list, (rule) => fits(rule, facts));

  const objection: Access['objection'] = (target, port, behind) => {
    const ofPort = objectionToPort(port);
    if (ofPort !== undefined) return ofPort;
    const facts = factsOf(target, behind);
    if (admitsHost(facts)) return undefined;
    // What is behind a name may be allowed where the name is not.
    const mayYetBe = target.kind === 'host' && destinations.allow.some(isAboutWhatIsReached);
    return mayYetBe && admitsHost(facts, { ...destinations, allow: [] }) ? undefined : deniedHost();
  };
  const objectionTo: Access['objectionTo'] = (host, b32) =>
    admitsHost(factsOfDestination(b32, host)) ? undefined : deniedHost();

  return {
    admitsClient: (address) => {
      if (address === undefined) return true;
      // The kernel's own spelling; a mapped IPv4 address is looked at as what it is.
      const bytes = Buffer.from(ipaddr.process(address).toByteArray());
      return admits(clients, (network) => contains(network, bytes));
    },
    objection,
    objectionTo,
    objectionToMapped: ({ name, destination }, port) =>
      objection({ kind: 'host', host: name }, port) ?? objectionTo(name, destination.b32),
    objectionToPort,
  };
}

function fits(rule: HostRule, { name, b32, peer, addresses }: HostFacts): boolean {
  switch (rule.kind) {
    case 'name':
      return name === rule.name;
    case 'below':
      return name === rule.name || name.endsWith(`.${rule.name}`);
    case 'b32':
      return b32 === rule.b32;
    case 'peer':
      return peer?.name.toLowerCase() === rule.name;
    case 'network':
      return addresses.some((address) => contains(rule.network, address));
    default:
      return rule satisfies never;
  }
}

/** Not about its spelling. */
function isAboutWhatIsReached({ kind }: HostRule): boolean {
  return kind === 'b32' || kind === 'peer' || kind === 'network';
}

function deniedHost(): GateError {
  return denied('a destination', 'socks.destinations');
}

function denied(what: string, key: string): GateError {
  return new GateError('policy', DENIED, `a SOCKS client asked for ${what} that ${key} does not allow`);
}
