/**
 * Routes of peers into the interface, beside that of the /48: networks behind them, and those that are to be spoken to from
 * our second address. Each is remembered by itself, so that it can go while the others stay. Knows nothing of packets.
 */
import type { PeerRoutes } from '../core/ports.ts';
import { ADDRESS_LENGTH, type Address } from '../wire/i2p/address.ts';
import { formatPrefix, type Prefix } from '../wire/packet/prefix.ts';
import type { NativeAddon } from './native.ts';
import { Changes, checkPrefixFree, configureRoute, routeNetwork, routesStand } from './tun-network.ts';

/** `network`: with an unreachable route behind it, since it lies outside the /48. */
type RouteKind = 'network' | 'host';

interface Route {
  readonly kind: RouteKind;
  readonly prefix: Prefix;
  readonly onInterface: Changes;
  /** Does not go with the interface. */
  readonly onRoutes: Changes;
}

export class TunRoutes {
  readonly #native: NativeAddon;
  readonly #index: number;
  readonly #addresses: readonly [Address, ...Address[]];
  readonly #standing = new Map<string, Route>();

  /**
   * @param index of our interface
   * @param addresses our own; the first is the source of packets to networks, the second of those to hosts
   */
  constructor(native: NativeAddon, index: number, addresses: readonly [Address, ...Address[]]) {
    this.#native = native;
    this.#index = index;
    this.#addresses = addresses;
  }

  /**
   * Has these routes, and no others. When a new one cannot be had, or an old one does not go, all is as it was.
   *
   * @throws NativeError, or GateError for a network that another program has
   */
  set({ networks, hosts }: PeerRoutes): void {
    const wanted = new Map<string, Route>();
    for (const prefix of networks) wanted.set(formatPrefix(prefix), route('network', prefix));
    for (const bytes of hosts) {
      const prefix = { bytes, bits: 8 * ADDRESS_LENGTH };
      wanted.set(formatPrefix(prefix), route('host', prefix));
    }
    const added = [...wanted].filter(([text]) => !this.#standing.has(text));
    try {
      for (const [, one] of added) {
        if (one.kind === 'network') checkPrefixFree(this.#native, this.#index, one.prefix);
        this.#make(one);
      }
    } catch (error) {
      for (const [, one] of added.reverse()) takeBack([one]);
      throw error;
    }
    const removed = [...this.#standing].filter(([text]) => !wanted.has(text));
    const [failure] = takeBack(removed.map(([, one]) => one));
    if (failure !== undefined) {
      for (const [, one] of added.reverse()) takeBack([one]);
      // One that cannot be had again now still counts as standing, so `restore` makes it.
      for (const [, one] of removed) this.#make(one);
      throw failure;
    }
    for (const [text] of removed) this.#standing.delete(text);
    for (const [text, one] of added) this.#standing.set(text, one);
  }

  /** Puts back what is missing. @throws NativeError */
  restore(): void {
    // What it takes to undo this was noted when it was done first.
    for (const { kind, prefix } of this.#standing.values()) this.#make(route(kind, prefix));
  }

  /** @throws NativeError */
  stand(): boolean {
    const of = (wanted: RouteKind) =>
      [...this.#standing.values()].flatMap(({ kind, prefix }) => (kind === wanted ? [prefix] : []));
    return routesStand(this.#native, this.#index, of('network'), of('host'));
  }

  /** @returns what was thrown on the way */
  leaveInterface(): readonly unknown[] {
    return [...this.#standing.values()].reverse().flatMap(({ onInterface }) => [...onInterface.revert()]);
  }

  /** To be called when the interface is gone. @returns what was thrown on the way */
  end(): readonly unknown[] {
    return [...this.#standing.values()].reverse().flatMap(({ onRoutes }) => [...onRoutes.revert()]);
  }

  #make({ kind, prefix, ...changes }: Route): void {
    const [source, second = source] = this.#addresses;
    if (kind === 'network') routeNetwork(this.#native, this.#index, prefix, source, changes);
    else configureRoute(this.#native, this.#index, prefix, second, changes.onInterface);
  }
}

function route(kind: RouteKind, prefix: Prefix): Route {
  return { kind, prefix, onInterface: new Changes(), onRoutes: new Changes() };
}

/** @returns what was thrown on the way */
function takeBack(routes: readonly Route[]): readonly unknown[] {
  return routes.flatMap(({ onInterface, onRoutes }) => [...onInterface.revert(), ...onRoutes.revert()]);
}
