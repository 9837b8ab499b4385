/**
 * Makes the kernel send the /48 into one interface: unreachable route, link settings, addresses, route. Looks at what
 * stands first and changes only what differs, so that an interface which root prepared can be used without rights, and
 * remembers how to take each change back. Knows nothing of packets.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import type { TunState } from '../core/ports.ts';
import { GateError } from '../kit/errors.ts';
import { ADDRESS_LENGTH, type Address, PREFIX, PREFIX_BITS, PREFIX_TEXT } from '../wire/i2p/address.ts';
import { isNativeError, loadNative, type NativeAddon, type OpenedTun } from './native.ts';

export interface NetworkOptions {
  /** Bytes. */
  readonly mtu: number;
  /** The first one is the preferred source of packets into the /48. */
  readonly addresses: readonly [Address, ...Address[]];
  /** Packets that wait in the kernel while we are busy. */
  readonly queue: number;
}

const PREFIX_ADDRESS = Buffer.concat([PREFIX], ADDRESS_LENGTH);

/** The highest there is: every other route to the /48 wins over it. */
const UNREACHABLE_METRIC = 0xffff_ffff;
/** What `ip route add` takes by default, so that a route prepared with it and ours look the same. */
const ROUTE_METRIC = 1024;
/** IN6_ADDR_GEN_MODE_NONE. */
const NO_LINK_LOCAL = 1;

/** What was changed, and how to change it back, newest last. */
export class Changes {
  readonly #undo: (() => void)[] = [];

  /** Does something now and remembers how to undo it. */
  make(change: () => void, undo: () => void): void {
    change();
    this.#undo.push(undo);
  }

  /**
   * Takes everything back that can be. Idempotent.
   *
   * @returns what was thrown on the way, for whoever reports it
   */
  revert(): readonly unknown[] {
    const thrown: unknown[] = [];
    for (const undo of this.#undo.splice(0).reverse()) {
      try {
        undo();
      } catch (error) {
        if (!isGone(error)) thrown.push(error);
      }
    }
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
  if (unreachableStands(native)) return;
  changes.make(
    () => native.addRoute(PREFIX_ADDRESS, PREFIX_BITS, 0, UNREACHABLE_METRIC, undefined),
    () => native.removeRoute(PREFIX_ADDRESS, PREFIX_BITS, 0, UNREACHABLE_METRIC, undefined),
  );
}

/**
 * Opens the /48 to the routing table again.
 *
 * @returns whether there was something to remove
 * @throws NativeError or, without the addon, GateError
 */
export function removeUnreachableRoute(native: NativeAddon = loadNative()): boolean {
  if (!unreachableStands(native)) return false;
  native.removeRoute(PREFIX_ADDRESS, PREFIX_BITS, 0, UNREACHABLE_METRIC, undefined);
  return true;
}

function unreachableStands(native: NativeAddon): boolean {
  return native
    .routes(PREFIX_ADDRESS, PREFIX_BITS)
    .some((route) => route.kind === 'unreachable' && route.metric === UNREACHABLE_METRIC);
}

/**
 * Two programs cannot have the same /48, and the kernel would quietly take one of them.
 *
 * @param index of our interface
 * @throws GateError `local-io` `tun.route-taken` when packets for the /48 go elsewhere, or would when our interface goes
 */
export function checkPrefixFree(native: NativeAddon, index: number): void {
  const other = native.routes(PREFIX_ADDRESS, PREFIX_BITS).find((route) => {
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
  throw new GateError(
    'local-io',
    'tun.route-taken',
    `Another route to ${PREFIX_TEXT} stands already (metric ${other.metric}); another GarliCat or gateway may be ` +
      `running. Look with: ip -6 route show ${PREFIX_TEXT}; stop that program or remove its route, then start again.`,
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
  configureRoute(native, tun.index, options.addresses[0], changes);
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
    .routes(PREFIX_ADDRESS, PREFIX_BITS)
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

function configureRoute(native: NativeAddon, index: number, source: Address, changes: Changes): void {
  const ours = native
    .routes(PREFIX_ADDRESS, PREFIX_BITS)
    .filter((route) => route.kind === 'interface' && route.index === index);
  if (ours.some((route) => route.source?.equals(source))) return;
  for (const { metric, source: other } of ours) {
    changes.make(
      () => native.removeRoute(PREFIX_ADDRESS, PREFIX_BITS, index, metric, other),
      () => native.addRoute(PREFIX_ADDRESS, PREFIX_BITS, index, metric, other),
    );
  }
  changes.make(
    () => native.addRoute(PREFIX_ADDRESS, PREFIX_BITS, index, ROUTE_METRIC, source),
    () => native.removeRoute(PREFIX_ADDRESS, PREFIX_BITS, index, ROUTE_METRIC, source),
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
