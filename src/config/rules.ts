/** Rules between settings, which no single value can break alone. Looked at only when every value is right by itself. */
import { addressesOf, addressKey } from '../wire/i2p/address.ts';
import type { B32 } from '../wire/i2p/destination.ts';
import { belongsToSam } from '../wire/sam/command.ts';
import { type Endpoint, excludeEachOther, formatEndpoint, isLocal, isMappedIpv4 } from './endpoint.ts';
import { identityRules } from './identity-rules.ts';
import type { KeyPath } from './locate.ts';
import { networkRules } from './network-rules.ts';
import { type BrokenRule, foundText } from './problem.ts';
import type { Config, PeerConfig, TunnelsConfig } from './schema.ts';
import type { PeerDestination } from './values.ts';

export function brokenRules(config: Config): readonly BrokenRule[] {
  return [
    ...routerRules(config),
    ...tunnelRules(config),
    ...vpnRules(config),
    ...peerRules(config.peer),
    ...inboundRules(config.peer),
    ...networkRules(config),
    ...socksRules(config),
    ...accessRules(config),
    ...identityRules(config),
  ];
}

export function b32Of(destination: PeerDestination): B32 {
  return destination.kind === 'b32' ? destination.b32 : destination.destination.b32;
}

function* routerRules({ router }: Config): Generator<BrokenRule> {
  const { sam, allow_remote, user, password_file } = router;
  if (sam.kind === 'tcp' && !isLocal(sam) && !allow_remote) {
    yield {
      path: ['router', 'sam'],
      found: `"${formatEndpoint(sam)}" on another machine`,
      wanted: 'a loopback address: SAM is not encrypted; set router.allow_remote = true if the way to it is safe',
    };
  }
  if (user !== '' && password_file === '') {
    yield { path: ['router', 'user'], found: 'a user without password', wanted: 'router.password_file as well' };
  }
  if (user === '' && password_file !== '') {
    yield { path: ['router', 'password_file'], found: 'a password without user', wanted: 'router.user as well' };
  }
}

function* tunnelRules({ tunnels, identities, socks }: Config): Generator<BrokenRule> {
  yield* optionRules(['tunnels'], tunnels);
  for (const [name, identity] of Object.entries(identities)) {
    yield* optionRules(['identities', name, 'tunnels'], identity.tunnels);
  }
  for (const [index, listener] of socks.entries()) yield* optionRules(['socks', index, 'tunnels'], listener.tunnels);
}

function* optionRules(path: KeyPath, tunnels: TunnelsConfig | undefined): Generator<BrokenRule> {
  for (const name of Object.keys(tunnels?.options ?? {})) {
    if (/^(inbound|outbound)\.(length|quantity)$/.test(name)) {
      yield {
        path: [...path, 'options', name],
        found: 'an option that has a key of its own',
        wanted: `tunnels.${name} instead`,
      };
    } else if (belongsToSam(name)) {
      yield {
        path: [...path, 'options', name],
        found: 'a word of SAM itself, which garligate says',
        wanted: 'options of I2CP and streaming only, such as "i2cp.fastReceive"',
      };
    }
  }
}

/** A queue that one packet fills drops every larger one for ever, and with it whole connections. */
function* vpnRules({ vpn }: Config): Generator<BrokenRule> {
  const least = 2 * vpn.mtu;
  if (vpn.queue.bytes < least) {
    yield {
      path: ['vpn', 'queue', 'bytes'],
      found: `${vpn.queue.bytes} bytes`,
      wanted: `at least "${least}B", twice vpn.mtu`,
    };
  }
}

function* peerRules(peers: readonly PeerConfig[]): Generator<BrokenRule> {
  const names = new Map<string, number>();
  const destinations = new Map<B32, number>();
  const addresses = new Map<string, number>();
  for (const [index, peer] of peers.entries()) {
    const sameName = names.get(peer.name.toLowerCase());
    if (sameName !== undefined) {
      yield {
        path: ['peer', index, 'name'],
        found: `${foundText(peer.name)} again, the name of peer[${sameName + 1}]`,
        wanted: 'another name',
      };
    }
    names.set(peer.name.toLowerCase(), index);

    const b32 = b32Of(peer.destination);
    const sameDestination = destinations.get(b32);
    destinations.set(b32, index);
    const { oc, ocat4 } = addressesOf(b32);
    const keys = [addressKey(oc), addressKey(ocat4)];
    const sameAddress = keys.map((key) => addresses.get(key)).find((other) => other !== undefined);
    for (const key of keys) addresses.set(key, index);
    if (sameDestination !== undefined) {
      yield {
        path: ['peer', index, 'destination'],
        found: `the destination of peer[${sameDestination + 1}] again`,
        wanted: 'each peer once',
      };
    } else if (sameAddress !== undefined) {
      yield {
        path: ['peer', index, 'destination'],
        found: `a destination with an address that peer[${sameAddress + 1}] has as well`,
        wanted: 'peers with different addresses: one of the two imitates the other',
      };
    }
  }
}

/** Whoever comes from a destination can be one peer only, and only an OnionCat comes from another than its own. */
function* inboundRules(peers: readonly PeerConfig[]): Generator<BrokenRule> {
  const owners = new Map<B32, number>();
  for (const [index, peer] of peers.entries()) owners.set(b32Of(peer.destination), index);
  for (const [index, { compat, inbound }] of peers.entries()) {
    const path = ['peer', index, 'inbound'];
    if (compat === 'none' && inbound.length > 0) {
      yield {
        path,
        found: 'other destinations for a peer that runs garligate',
        wanted: 'compat = "onioncat4" as well: a garligate opens its streams from its own destination',
      };
    }
    if (inbound === 'unverified') continue;
    for (const b32 of inbound.map(b32Of)) {
      const owner = owners.get(b32);
      if (owner !== undefined && owner !== index) {
        yield { path, found: `a destination of peer[${owner + 1}]`, wanted: 'each destination for one peer only' };
      }
      owners.set(b32, index);
    }
  }
}

function* socksRules({ socks, control }: Config): Generator<BrokenRule> {
  const taken: { readonly endpoint: Endpoint; readonly by: string }[] = [
    { endpoint: { kind: 'unix', path: control.socket }, by: 'control.socket' },
  ];
  for (const [index, { listen, open, users }] of socks.entries()) {
    const where = formatEndpoint(listen);
    if (isMappedIpv4(listen)) {
      yield {
        path: ['socks', index, 'listen'],
        found: `"${where}", an IPv4 address in the spelling of IPv6`,
        wanted: 'the IPv4 address itself, such as "127.0.0.1:9160"',
      };
    } else if (!isLocal(listen) && !open && users.length === 0) {
      yield {
        path: ['socks', index, 'listen'],
        found: `"${where}", which other machines can reach`,
        wanted: 'a loopback address, users, or open = true if all of those machines may use I2P in your name',
      };
    }
    const other = taken.find(({ endpoint }) => excludeEachOther(endpoint, listen));
    if (other !== undefined) {
      yield {
        path: ['socks', index, 'listen'],
        found: `"${where}", which excludes "${formatEndpoint(other.endpoint)}" of ${other.by}`,
        wanted: 'places at which both can listen',
      };
    }
    taken.push({ endpoint: listen, by: `socks[${index + 1}]` });
  }
}

function* accessRules({ socks, peer }: Config): Generator<BrokenRule> {
  const peers = new Set(peer.map(({ name }) => name.toLowerCase()));
  for (const [index, { listen, clients, destinations, owner, group }] of socks.entries()) {
    if (listen.kind === 'tcp' && owner + group !== '') {
      yield {
        path: ['socks', index, owner === '' ? 'group' : 'owner'],
        found: 'somebody to give a TCP port to',
        wanted: 'none; only a unix socket can belong to anybody',
      };
    }
    if (listen.kind === 'unix' && clients.allow.length + clients.deny.length > 0) {
      yield {
        path: ['socks', index, 'clients'],
        found: 'addresses of clients for a unix socket, whose clients have none',
        wanted: 'none; mode says who may connect',
      };
    }
    for (const list of ['allow', 'deny'] as const) {
      for (const [at, rule] of destinations[list].entries()) {
        if (rule.kind !== 'peer' || peers.has(rule.name)) continue;
        yield {
          path: ['socks', index, 'destinations', list, at],
          found: `"${rule.name}.peer.b32.i2p", a peer that is not there`,
          wanted: 'the name of a [[peer]] before .peer.b32.i2p',
        };
      }
    }
  }
}
