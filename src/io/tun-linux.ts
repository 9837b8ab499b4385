/**
 * The TUN interface of this machine as the core wants it (TunPort): opens it, has it configured, and carries packets in
 * batches between the kernel and whoever takes them. Looks at no packet.
 */
import type { PacketRun, PeerRoutes, TakePackets, TunPort, TunState, TunTraffic } from '../core/ports.ts';
import { GateError } from '../kit/errors.ts';
import type { Address } from '../wire/i2p/address.ts';
import { VPN_PREFIX } from '../wire/packet/prefix.ts';
import {
  loadNative,
  type NativeAddon,
  type NetworkWatch,
  OFFLOAD,
  type OpenedTun,
  type TunCounters,
} from './native.ts';
import { checkWanted, removalError, tunError } from './tun-errors.ts';
import {
  addUnreachableRoute,
  Changes,
  checkPrefixFree,
  configureInterface,
  interfaceState,
  isDiverted,
  removeUnreachableRoute as removeRoute,
} from './tun-network.ts';
import { TunRoutes } from './tun-routes.ts';

export interface TunOptions {
  /** Of the interface, 1 to 15 characters. One that root made beforehand is taken over. */
  readonly name: string;
  /** Bytes, 1280 to 65535. */
  readonly mtu: number;
  /** Our own, at least one; the first is the preferred source of packets into the /48. */
  readonly addresses: readonly Address[];
  readonly routes: PeerRoutes;
  /** Leave the unreachable route of the /48 behind when the interface closes, so that nothing ever goes elsewhere. */
  readonly keepUnreachable: boolean;
  /** Let the kernel pass TCP and UDP in larger pieces than packets, where it can and where that is quicker. */
  readonly offload: boolean;
}

/**
 * Packets that the kernel keeps while this process is busy. A TUN does not push back on the senders of this host, so a
 * short queue loses bursts of TCP; the queue is always emptied at once, so a long one adds no delay.
 */
const KERNEL_QUEUE = 2000;

/** Bytes of the MTU from which on packets are so large that putting them together costs more than it saves. */
const LARGE_MTU = 16_384;

/** An interface that is ours, and down unless it was up before: nothing has been changed yet. */
export interface AttachedTun {
  /**
   * Brings it up with addresses and routes, and starts to read. When this throws, everything is as it was before, and
   * the interface is closed.
   *
   * @throws GateError `permission`, `local-io` or `unsupported`
   */
  bringUp(): TunPort;
  /** Gives it back; nothing to do once `bringUp` was called. */
  release(): void;
}

/** Makes the interface, or takes it over, and brings it up. @throws GateError as the two steps do */
export function openTun(options: TunOptions): TunPort {
  return attachTun(options).bringUp();
}

/**
 * Makes the interface, or takes it over, so that whoever has to prepare something before it comes up can do so knowing
 * that it is ours.
 *
 * @throws GateError `config`, `permission`, `local-io` or `unsupported`
 */
export function attachTun(options: TunOptions): AttachedTun {
  checkWanted(options);
  const [source, ...others] = options.addresses;
  if (source === undefined) throw new GateError('bug', 'bug', 'a TUN needs at least one address');
  const native = loadNative();
  let opened: OpenedTun | undefined;
  try {
    const offload = options.offload && options.mtu < LARGE_MTU ? OFFLOAD.tcpAndUdp : OFFLOAD.none;
    opened = native.open(options.name, offload);
    for (const prefix of [VPN_PREFIX, ...options.routes.networks]) checkPrefixFree(native, opened.index, prefix);
  } catch (error) {
    if (opened !== undefined) native.close(opened.handle);
    throw tunError(error, options);
  }
  const tun = opened;
  let brought = false;
  return {
    bringUp: () => {
      brought = true;
      return bringUp(native, tun, options, [source, ...others]);
    },
    release: () => {
      if (!brought) native.close(tun.handle);
    },
  };
}

function bringUp(
  native: NativeAddon,
  tun: OpenedTun,
  options: TunOptions,
  addresses: readonly [Address, ...Address[]],
): TunPort {
  const configure = ({ onVpnRoute, onInterface }: Omit<TunChanges, 'routes'>) => {
    addUnreachableRoute(native, onVpnRoute);
    configureInterface(native, tun, { mtu: options.mtu, addresses, queue: KERNEL_QUEUE }, onInterface);
  };
  const routes = new TunRoutes(native, tun.index, addresses);
  const changes = { ...noChanges(), routes };
  const restore = () => {
    // What it takes to undo this was noted when it was done first, or is none of our business.
    configure(noChanges());
    routes.restore();
  };
  try {
    configure(changes);
    routes.set(options.routes);
    return new LinuxTun(native, tun, changes, options, restore);
  } catch (error) {
    closeInterface(native, tun, changes);
    changes.onVpnRoute.revert();
    throw tunError(error, options);
  }
}

/**
 * For cleaning up: removes the unreachable route that a closed or killed gateway left behind.
 *
 * @returns whether it stood
 * @throws GateError
 */
export function removeUnreachableRoute(): boolean {
  try {
    return removeRoute();
  } catch (error) {
    throw removalError(error);
  }
}

interface TunChanges {
  /** The unreachable route of the /48: taken back by itself only when the interface did not come up. */
  readonly onVpnRoute: Changes;
  readonly onInterface: Changes;
  readonly routes: TunRoutes;
}

function noChanges(): Omit<TunChanges, 'routes'> {
  return { onVpnRoute: new Changes(), onInterface: new Changes() };
}

/** @returns what was thrown while undoing the changes */
function closeInterface(native: NativeAddon, tun: OpenedTun, changes: TunChanges): readonly unknown[] {
  // Otherwise the kernel takes them back itself, whole, by removing the interface.
  const thrown = tun.persistent ? [...changes.routes.leaveInterface(), ...changes.onInterface.revert()] : [];
  native.close(tun.handle);
  return [...thrown, ...changes.routes.end()];
}

class LinuxTun implements TunPort {
  readonly name: string;
  readonly mtu: number;
  readonly takesBig: boolean;
  readonly #native: NativeAddon;
  readonly #tun: OpenedTun;
  readonly #changes: TunChanges;
  readonly #addresses: readonly Address[];
  readonly #restore: () => void;
  readonly #watch: NetworkWatch;
  readonly #keepUnreachable: boolean;
  #take: TakePackets | undefined;
  #onLost: ((error: GateError) => void) | undefined;
  #lost: GateError | undefined;
  #turn: NodeJS.Immediate | undefined;
  #closed: Promise<void> | undefined;
  #runsAfterClose = 0;

  /** @param restore gives the interface whatever it is to have and has not */
  constructor(native: NativeAddon, tun: OpenedTun, changes: TunChanges, options: TunOptions, restore: () => void) {
    this.name = tun.name;
    this.mtu = options.mtu;
    this.takesBig = tun.offload !== OFFLOAD.none;
    this.#native = native;
    this.#tun = tun;
    this.#changes = changes;
    this.#addresses = options.addresses;
    this.#restore = restore;
    this.#keepUnreachable = options.keepUnreachable;
    this.#watch = native.watchNetwork(tun.index, VPN_PREFIX.bytes, VPN_PREFIX.bits);
    native.start(
      tun.handle,
      () => this.#schedule(),
      (errno) => this.#lose(errno),
    );
  }

  onPackets(take: TakePackets): void {
    this.#take = take;
    this.#schedule();
  }

  onLost(lost: (error: GateError) => void): void {
    this.#onLost = lost;
    if (this.#lost !== undefined) queueMicrotask(() => this.#tellLost());
  }

  write(run: PacketRun, segment = 0): void {
    if (this.#closed !== undefined) {
      this.#runsAfterClose += 1;
      return;
    }
    try {
      this.#native.writePackets(this.#tun.handle, run, 0, run.length, segment);
    } catch (error) {
      throw new GateError('bug', 'tun.malformed-run', 'a run to be written holds something that is no IPv6 packet', {
        cause: error,
      });
    }
  }

  keepWhole(destination: Buffer, segment: number): void {
    if (this.#closed === undefined) this.#native.keepWhole(this.#tun.handle, destination, segment, this.mtu);
  }

  cutAll(): void {
    if (this.#closed === undefined) this.#native.cutAll(this.#tun.handle);
  }

  traffic(): TunTraffic {
    const { readPackets, readBytes, reads, writtenPackets, writtenBytes, writes } = this.#counters();
    return { readPackets, readBytes, reads, writtenPackets, writtenBytes, writes };
  }

  drops(): Readonly<Record<string, number>> {
    const { readPackets, readBytes, reads, writtenPackets, writtenBytes, writes, ...drops } = this.#counters();
    return { ...drops, runsAfterClose: this.#runsAfterClose };
  }

  state(): TunState {
    if (this.#closed !== undefined || this.#lost !== undefined) return 'down';
    try {
      const { index } = this.#tun;
      const state = interfaceState(this.#native, index, this.#addresses);
      if (state !== 'up') return state;
      if (!this.#changes.routes.stand()) return 'incomplete';
      return isDiverted(this.#native, index) ? 'diverted' : 'up';
    } catch {
      // Deleted a moment ago: onLost is about to say so with everything that is known.
      return 'down';
    }
  }

  pollChanges(): boolean {
    return this.#closed === undefined && this.#native.pollNetworkChanges(this.#watch);
  }

  restore(): void {
    if (this.#closed !== undefined || this.#lost !== undefined) return;
    try {
      if (this.#native.readLink(this.#tun.index).up) this.#restore();
    } catch (error) {
      throw tunError(error, this);
    }
  }

  route(routes: PeerRoutes): void {
    if (this.#closed !== undefined || this.#lost !== undefined) return;
    try {
      this.#changes.routes.set(routes);
    } catch (error) {
      throw tunError(error, this);
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    if (this.#turn !== undefined) clearImmediate(this.#turn);
    this.#native.endNetworkWatch(this.#watch);
    const thrown = [...closeInterface(this.#native, this.#tun, this.#changes)];
    if (!this.#keepUnreachable) {
      try {
        removeRoute(this.#native);
      } catch (error) {
        thrown.push(error);
      }
    }
    if (thrown.length > 0) throw tunError(thrown[0], this);
  }

  #counters(): TunCounters {
    return this.#native.counters(this.#tun.handle);
  }

  /** One batch per turn of the event loop: a busy interface must not keep the sockets from their share. */
  #schedule(): void {
    const take = this.#take;
    if (take === undefined || this.#closed !== undefined) return;
    this.#turn ??= setImmediate(() => this.#drain(take));
  }

  #drain(take: TakePackets): void {
    this.#turn = undefined;
    // What `take` throws is the caller's own; the packets after it are still wanted.
    let more = true;
    try {
      more = this.#native.drain(this.#tun.handle, (slab, bytes, rows, count) =>
        take(slab.subarray(0, bytes), rows.subarray(0, 2 * count)),
      );
    } finally {
      if (more) this.#schedule();
    }
  }

  #lose(errno: string): void {
    this.#lost = new GateError(
      'local-io',
      'tun.lost',
      `The interface ${this.name} can no longer be read (${errno}); somebody may have deleted it. Restart garligate to make it again.`,
      { facts: { errno } },
    );
    this.#tellLost();
  }

  /** Once: whichever comes last, the loss or the listener, finds the other one there. */
  #tellLost(): void {
    const onLost = this.#onLost;
    if (onLost === undefined || this.#lost === undefined) return;
    this.#onLost = undefined;
    onLost(this.#lost);
  }
}
