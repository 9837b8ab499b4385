/**
 * Makes the kernel send the /48, and the networks behind peers, into one interface: unreachable routes, link settings,
 * addresses, routes. First looks at what is there and changes only what differs, so that an interface which root prepared
 * can be used without rights; remembers how to take each change back. Knows nothing of packets.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import type { TunState } from '../core/ports.ts';
import { GateError } from '../kit/errors.ts';
import { ADDRESS_LENGTH, type Address } from '../wire/i2p/address.ts';
import { formatPrefix, type Prefix, VPN_PREFIX } from '../wire/packet/prefix.ts';
import { isNativeError, loadNative, type NativeAddon, type OpenedTun } from './native.ts';

export interface NetworkOptions {
  /** Bytes. */
  readonly mtu: number;
  /** The first one is the preferred source of packets into the /48. */
  readonly addresses: readonly [Address, ...Address[]];
  /** Packets that wait in the kernel while we are busy. */
  readonly queue: number;
}

/** The highest there is: every other route to the same prefix wins over it. */
const UNREACHABLE_METRIC = 0xffff_ffff;
/** What `ip route add` takes by default, so that a route prepared with it and ours look the same. */
const ROUTE_METRIC = 1024;
/** IN6_ADDR_GEN_MODE_NONE. */
const NO_LINK_LOCAL = 1;

/** What was changed, and how to change it back, newest last. */
export class Changes {
  #undo: (() => void)[] = [];

  /** Does something now and remembers how to undo it. */
  make(change: () => void, undo: () => void): void {
    change();
    this.#undo.push(undo);
  }

  /**
   * Takes everything back that can be; the rest stays for another time. Idempotent.
   *
   * @returns what was thrown on the way, for whoever reports it
   */
  revert(): readonly unknown[] {
    const thrown: unknown[] = [];
    const left: (() => void)[] = [];
    for (const undo of this.#undo.toReversed()) {
      try {
        undo();
      } catch (error) {
        if (isGone(error)) continue;
        thrown.push(error);
        left.unshift(undo);
      }
    }
    this.#undo = left;
    return thrown;
  }
}

/** There is nothing to remove any more: the interface, the address or the route went by itself. */
function isGone(error: unknown): boolean {
  return isNativeError(error) && ['ENODEV', 'ENXIO', 'EADDRNOTAVAIL', 'ESRCH', 'ENOENT'].includes(error.code);
}

function isForbidden(error: unknown): boolean {
  return isNativeError(error) && (error.code === 'EPERM' || error.code === 'EACCES');
}

/**
 * Adds the route that keeps packets for the /48 from leaving any other way when there is no interface. It belongs to no
 * interface of ours and stays until `removeUnreachableRoute`.
 *
 * @throws NativeError
 */
export function addUnreachableRoute(native: NativeAddon, changes: Changes): void {
  if (unreachableStands(native, VPN_PREFIX)) return;
  const { bytes, bits } = VPN_PREFIX;
  changes.make(
    () => native.addRoute(bytes, bits, 0, UNREACHABLE_METRIC, undefined),
    () => native.removeRoute(bytes, bits, 0, UNREACHABLE_METRIC, undefined),
  );
}

/**
 * Opens the /48 to the routing table again.
 *
 * @returns whether there was something to remove
 * @throws NativeError or, without the addon, GateError
 */
export function removeUnreachableRoute(native: NativeAddon = loadNative()): boolean {
  if (!unreachableStands(native, VPN_PREFIX)) return false;
  native.removeRoute(VPN_PREFIX.bytes, VPN_PREFIX.bits, 0, UNREACHABLE_METRIC, undefined);
  return true;
}

function unreachableStands(native: NativeAddon, { bytes, bits }: Prefix): boolean {
  return native
    .routes(bytes, bits)
    .some((route) => route.kind === 'unreachable' && route.metric === UNREACHABLE_METRIC);
}

/**
 * Two programs cannot have the same /48, and the kernel would quietly take one of them.
 *
 * @param index of our interface
 * @throws GateError `local-io` `tun.route-taken` when packets for the prefix go elsewhere, or would when our interface goes
 */
export function checkPrefixFree(native: NativeAddon, index: number, prefix: Prefix): void {
  const other = native.routes(prefix.bytes, prefix.bits).find((route) => {
    switch (route.kind) {
      case 'interface':
        return route.index !== index;
      case 'unreachable':
        return route.metric <= ROUTE_METRIC;
      case 'other':
        return true;
      default:
        return route.kind satisfies never;
    }
  });
  if (other === undefined) return;
  const text = formatPrefix(prefix);
  throw new GateError(
    'local-io',
    'tun.route-taken',
    `Another route to ${text} stands already (metric ${other.metric}); another GarliCat or gateway may be ` +
      `running. Look with: ip -6 route show ${text}; stop that program or remove its route, then start again.`,
    { facts: { metric: other.metric, route: other.kind } },
  );
}

/**
 * @param tun already open; packets may come in as soon as this begins
 * @throws NativeError where something differs and cannot be changed
 */
export function configureInterface(
  native: NativeAddon,
  tun: OpenedTun,
  options: NetworkOptions,
  changes: Changes,
): void {
  for (const [setting, wanted] of SETTINGS) setKernelSetting(tun.name, setting, wanted, changes);
  configureLink(native, tun, options, changes);
  for (const address of options.addresses) {
    if (native.hasAddress(tun.index, address)) continue;
    changes.make(
      () => native.addAddress(tun.index, address),
      () => native.removeAddress(tun.index, address),
    );
  }
  configureRoute(native, tun.index, VPN_PREFIX, options.addresses[0], changes);
}

/**
 * Makes the kernel send packets for a network behind a peer into the interface, and nowhere else when the interface is
 * gone before its time.
 *
 * @param onInterface changes that go with the interface
 * @param onRoutes changes that do not: the unreachable route, also one that a killed gateway left behind
 * @throws NativeError
 */
export function routeNetwork(
  native: NativeAddon,
  index: number,
  prefix: Prefix,
  source: Address,
  { onInterface, onRoutes }: { readonly onInterface: Changes; readonly onRoutes: Changes },
): void {
  const { bytes, bits } = prefix;
  const stands = unreachableStands(native, prefix);
  onRoutes.make(
    () => stands || native.addRoute(bytes, bits, 0, UNREACHABLE_METRIC, undefined),
    () => native.removeRoute(bytes, bits, 0, UNREACHABLE_METRIC, undefined),
  );
  configureRoute(native, index, prefix, source, onInterface);
}

/**
 * Does every unreachable route stand, and do those to all these prefixes still lead into the interface?
 *
 * @param networks behind peers, with an unreachable route each
 * @param hosts without one, inside the /48
 * @throws NativeError
 */
export function routesStand(
  native: NativeAddon,
  index: number,
  networks: readonly Prefix[],
  hosts: readonly Prefix[],
): boolean {
  if (![VPN_PREFIX, ...networks].every((prefix) => unreachableStands(native, prefix))) return false;
  const wanted = [...networks, ...hosts];
  if (wanted.length === 0) return true;
  const standing = native.routesInside(Buffer.alloc(ADDRESS_LENGTH), 0, index);
  const texts = new Set(standing.map(({ destination, bits }) => formatPrefix({ bytes: destination, bits })));
  return wanted.every((prefix) => texts.has(formatPrefix(prefix)));
}

/**
 * Does a route lead some part of the /48 elsewhere, in whatever table? One to a part of it wins over ours, whoever added
 * it and whatever its metric: that is how TunnelVision (CVE-2024-3661) takes packets out of a tunnel.
 *
 * @throws NativeError
 */
export function isDiverted(native: NativeAddon, index: number): boolean {
  return native
    .routesInside(VPN_PREFIX.bytes, VPN_PREFIX.bits, 0)
    .some((route) => route.kind !== 'unreachable' && route.index !== index);
}

/**
 * Does what `configureInterface` made still stand? Setting an interface down takes its addresses and routes away, and
 * setting it up again does not bring them back.
 *
 * @throws NativeError
 */
export function interfaceState(native: NativeAddon, index: number, addresses: readonly Address[]): TunState {
  if (!native.readLink(index).up) return 'down';
  const [source] = addresses;
  const hasRoute = native
    .routes(VPN_PREFIX.bytes, VPN_PREFIX.bits)
    .some((route) => route.kind === 'interface' && route.index === index && source && route.source?.equals(source));
  return hasRoute && addresses.every((address) => native.hasAddress(index, address)) ? 'up' : 'incomplete';
}

function configureLink(native: NativeAddon, tun: OpenedTun, options: NetworkOptions, changes: Changes): void {
  const { index } = tun;
  const before = native.readLink(index);
  if (before.addressGeneration !== NO_LINK_LOCAL) {
    whereAllowed(tun, () =>
      changes.make(
        () => native.setLinkAddressGeneration(index, NO_LINK_LOCAL),
        () => native.setLinkAddressGeneration(index, before.addressGeneration),
      ),
    );
  }
  if (before.queue !== options.queue) {
    whereAllowed(tun, () =>
      changes.make(
        () => native.setLinkQueue(index, options.queue),
        () => native.setLinkQueue(index, before.queue),
      ),
    );
  }
  if (before.mtu !== options.mtu) {
    changes.make(
      () => native.setLinkMtu(index, options.mtu),
      () => native.setLinkMtu(index, before.mtu),
    );
  }
  if (!before.up) {
    changes.make(
      () => native.setLinkUp(index, 1),
      () => native.setLinkUp(index, 0),
    );
  }
}

/** A prepared interface works with another queue and with a link-local address, whose packets nobody answers. */
function whereAllowed(tun: OpenedTun, change: () => void): void {
  try {
    change();
  } catch (error) {
    if (!tun.existed || !isForbidden(error)) throw error;
  }
}

/**
 * Leads a prefix into the interface, with this preferred source; a route without it is replaced.
 *
 * @throws NativeError
 */
export function configureRoute(
  native: NativeAddon,
  index: number,
  { bytes, bits }: Prefix,
  source: Address,
  changes: Changes,
): void {
  const ours = native.routes(bytes, bits).filter((route) => route.kind === 'interface' && route.index === index);
  if (ours.some((route) => route.source?.equals(source))) return;
  for (const { metric, source: other } of ours) {
    changes.make(
      () => native.removeRoute(bytes, bits, index, metric, other),
      () => native.addRoute(bytes, bits, index, metric, other),
    );
  }
  changes.make(
    () => native.addRoute(bytes, bits, index, ROUTE_METRIC, source),
    () => native.removeRoute(bytes, bits, index, ROUTE_METRIC, source),
  );
}

const SETTINGS: readonly (readonly [name: string, value: string])[] = [
  ['disable_ipv6', '0'],
  ['accept_ra', '0'],
  ['autoconf', '0'],
];

/**
 * Where /proc/sys is read-only, as in most containers, a setting stays as it is: without link-local addresses there are
 * no router advertisements to accept, and switched-off IPv6 shows when the first address is added.
 */
function setKernelSetting(name: string, setting: string, wanted: string, changes: Changes): void {
  const path = `/proc/sys/net/ipv6/conf/${name}/${setting}`;
  try {
    const before = readFileSync(path, 'latin1').trim();
    if (before === wanted) return;
    changes.make(
      () => writeFileSync(path, wanted),
      () => writeFileSync(path, before),
    );
  } catch (error) {
    if (!isUnwritable(error)) throw error;
  }
}

function isUnwritable(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOENT';
}
