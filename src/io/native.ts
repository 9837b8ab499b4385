/**
 * Finds and loads the native addon (native/, docs/adr/0008) and says in types what it offers. The only place where
 * something from outside TypeScript becomes typed; knows nothing of how the parts are used.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { GateError } from '../kit/errors.ts';
import type { NativeSockets } from './native-sockets.ts';

/** An open TUN device. Owned by the addon: only to be handed back to it. */
export type TunHandle = object & { readonly brand: 'TunHandle' };

export type OpenedTun = {
  readonly handle: TunHandle;
  readonly name: string;
  /** The kernel's number of the interface; never reused while the interface stands. */
  readonly index: number;
  /** The interface stood before it was opened. */
  readonly existed: boolean;
  /** The interface stays when the handle is closed. */
  readonly persistent: boolean;
  /** What the kernel granted. */
  readonly offload: Offload;
};

/**
 * Whether the kernel passes TCP, or TCP and UDP (Linux 6.2), in larger pieces than packets. The numbers of native/offload.h.
 */
export const OFFLOAD = { none: 0, tcp: 1, tcpAndUdp: 2 } as const;
export type Offload = (typeof OFFLOAD)[keyof typeof OFFLOAD];

/** Owned by the addon: only to be handed back to it. */
export type NetworkWatch = object & { readonly brand: 'NetworkWatch' };

/** A view on what leaves this machine. Owned by the addon: only to be handed back to it. */
export type CaptureHandle = object & { readonly brand: 'CaptureHandle' };

export type CapturedPacket = {
  /** Its name; empty where it has gone meanwhile. */
  readonly interface: string;
  /** Its first 512 bytes. */
  readonly bytes: Buffer;
};

export type InterfaceAttributes = {
  /** Bytes. */
  readonly mtu: number;
  /** Packets that wait in the kernel at most (txqueuelen). */
  readonly queue: number;
  /** How the kernel makes link-local addresses: IN6_ADDR_GEN_MODE_*, 1 is none. */
  readonly addressGeneration: number;
  readonly up: boolean;
};

export type RouteState = {
  /** `interface`: straight out of one interface, no gateway. */
  readonly kind: 'interface' | 'unreachable' | 'other';
  readonly index: number;
  readonly destination: Buffer;
  /** Of its destination. */
  readonly bits: number;
  readonly metric: number;
  /** Preferred source address. */
  readonly source: Buffer | undefined;
};

/** Since the device was opened. */
export type TunCounters = {
  readonly readPackets: number;
  readonly readBytes: number;
  readonly readNotIpv6: number;
  readonly readBadLength: number;
  /** Super-packets that no kernel makes. */
  readonly readBadOffload: number;
  readonly writtenPackets: number;
  readonly writtenBytes: number;
  readonly writeInterfaceDown: number;
  readonly writeInterfaceGone: number;
  readonly writeNoMemory: number;
  readonly writeQueueFull: number;
  readonly writeTooBig: number;
  readonly writeRefused: number;
  /** System calls that passed packets. */
  readonly reads: number;
  readonly writes: number;
};

/**
 * The addon. Every function is synchronous and throws a NativeError. Addresses and prefixes are 16 bytes, interfaces are
 * named by their number.
 */
export interface NativeAddon {
  /** @param wanted the most; a kernel that cannot do it grants less */
  open(name: string, wanted: Offload): OpenedTun;
  /**
   * Starts the reading thread. `onReady`: packets can be drained, not told again until `drain` answers false. `onLost`:
   * the device is gone and the thread has ended; told once, with the errno's name. Keeps the process alive until `close`.
   */
  start(handle: TunHandle, onReady: () => void, onLost: (errno: string) => void): void;
  /**
   * Lends one batch to `take`, for the time of the call: `bytes` of well-formed IPv6 packets, back to back from the start
   * of `slab`, and of each row of them its bytes and its packets (see PacketRows), `count` rows from the start of `rows`.
   * Does not call it when there is none.
   *
   * @returns whether there was one, and so may be another; after `false`, `onReady` will be called
   */
  drain(handle: TunHandle, take: (slab: Buffer, bytes: number, rows: Uint32Array, count: number) => void): boolean;
  /**
   * Writes the packets that stand back to back in `run`; one that the kernel does not take is counted.
   *
   * @param segment packets of TCP that are longer go to the kernel as super-packets, of packets that are this long; 0 for none
   * @returns bytes consumed: all of them
   * @throws NativeError EBADMSG at a packet that is cut or not IPv6; those before it have been written
   */
  writePackets(handle: TunHandle, run: Buffer, start: number, end: number, segment: number): number;
  /**
   * From now on, and perhaps not for long, super-packets of TCP to this address (16 bytes) that stand for packets of `segment`
   * bytes are drained as one packet, if they are longer than `least`. Has no effect without offload.
   */
  keepWhole(handle: TunHandle, address: Buffer, segment: number, least: number): void;
  /** Forgets what `keepWhole` was told. */
  cutAll(handle: TunHandle): void;
  counters(handle: TunHandle): TunCounters;
  /** Idempotent, and allowed inside every callback. An interface that is not persistent goes with it. */
  close(handle: TunHandle): void;

  /**
   * A set of sockets, for as long as the environment (main thread or worker) lives, which it keeps alive while it has some.
   *
   * @param onEvents called at most once in a turn of the event loop, with the number of events that stand in the list
   * @param events room for them: place and event in turns
   * @throws NativeError ENOSYS where Node has another event loop than we know
   */
  openSockets(onEvents: (count: number) => void, events: Uint32Array): NativeSockets;

  /** From now on, packets that leave this machine by any interface wait to be read, up to 4 MiB of them. */
  openCapture(): CaptureHandle;
  /** @returns the next packets, at most 256, without their link headers; none: nothing waits */
  readCapture(handle: CaptureHandle): readonly CapturedPacket[];
  /** Packets that had no room to wait since this was last asked. */
  captureMissed(handle: CaptureHandle): number;
  /** Idempotent. */
  closeCapture(handle: CaptureHandle): void;

  readLink(index: number): InterfaceAttributes;
  setLinkMtu(index: number, bytes: number): void;
  setLinkQueue(index: number, packets: number): void;
  setLinkAddressGeneration(index: number, mode: number): void;
  setLinkUp(index: number, up: 0 | 1): void;

  hasAddress(index: number, address: Buffer): boolean;
  /** As /128, without duplicate address detection. From its return on packets for it come in, and programs may have it. */
  addAddress(index: number, address: Buffer): void;
  removeAddress(index: number, address: Buffer): void;

  /** Routes of the main table to exactly this prefix. */
  routes(prefix: Buffer, bits: number): readonly RouteState[];
  /**
   * Routes of every table but that of local addresses whose destination is this prefix or lies inside it.
   *
   * @param index of the interface that they lead to; 0 for any
   */
  routesInside(prefix: Buffer, bits: number, index: number): readonly RouteState[];
  /** @param index 0 for an unreachable route, which belongs to no interface of ours */
  addRoute(prefix: Buffer, bits: number, index: number, metric: number, source: Buffer | undefined): void;
  removeRoute(prefix: Buffer, bits: number, index: number, metric: number, source: Buffer | undefined): void;

  /**
   * Hears from now on what happens to an interface, to the routes that lead into it, to those inside a prefix, and to
   * unreachable ones.
   */
  watchNetwork(index: number, prefix: Buffer, bits: number): NetworkWatch;
  /** @returns whether anything of that has happened since the last poll */
  pollNetworkChanges(watch: NetworkWatch): boolean;
  /** It may not be asked any more. */
  endNetworkWatch(watch: NetworkWatch): void;

  /** Another number after every change of anybody's nftables rules in this network namespace. */
  rulesetGeneration(): number;

  /**
   * Becomes this user, clears the groups, and keeps only these capabilities; no thread can gain a right afterwards. For our
   * own `uid` groups stay, and other threads keep the capabilities that they were started with.
   *
   * @param keep a bit for each capability, 1 << CAP_*; the main thread and the programs that it starts keep them, as far
   *   as it has them
   * @throws NativeError when rights may be half given up: the process can only be ended
   */
  giveUpRights(uid: number, gid: number, keep: number): void;
  /** Neither files nor other processes of this user get to see our memory. To be said again after `giveUpRights`. */
  forbidCoreDumps(): void;
  /**
   * One datagram to the service manager, without waiting (sd_notify(3)).
   *
   * @param address a path, or with @ as its first character a name in the abstract namespace; 107 bytes at most
   * @param message 255 bytes at most
   * @throws NativeError
   */
  tellServiceManager(address: string, message: string): void;
}

/** What the addon throws. */
export type NativeError = Error & {
  /** The errno's name. */
  readonly code: string;
  /** At which step: a stable word of native/. */
  readonly stage: string;
  /** The kernel's own words, often empty. */
  readonly detail: string;
};

export function isNativeError(thrown: unknown): thrown is NativeError {
  return (
    thrown instanceof Error &&
    'code' in thrown &&
    typeof thrown.code === 'string' &&
    'stage' in thrown &&
    typeof thrown.stage === 'string' &&
    'detail' in thrown &&
    typeof thrown.detail === 'string'
  );
}

/** The same number stands in native/addon.c. */
const ADDON_VERSION = 10;

const FUNCTIONS = {
  open: true,
  start: true,
  drain: true,
  writePackets: true,
  keepWhole: true,
  cutAll: true,
  counters: true,
  close: true,
  openSockets: true,
  openCapture: true,
  readCapture: true,
  captureMissed: true,
  closeCapture: true,
  readLink: true,
  setLinkMtu: true,
  setLinkQueue: true,
  setLinkAddressGeneration: true,
  setLinkUp: true,
  hasAddress: true,
  addAddress: true,
  removeAddress: true,
  routes: true,
  routesInside: true,
  addRoute: true,
  removeRoute: true,
  watchNetwork: true,
  pollNetworkChanges: true,
  endNetworkWatch: true,
  rulesetGeneration: true,
  giveUpRights: true,
  forbidCoreDumps: true,
  tellServiceManager: true,
} as const satisfies Record<keyof NativeAddon, true>;

/** Two levels up is the package, from src/io/ as from dist/io/. */
const ADDON_PATH = fileURLToPath(new URL('../../build/native/garligate.node', import.meta.url));

/**
 * @throws GateError `local-io` when it is not built, was built from other sources, or does not fit this machine;
 *   `permission` when it may not be read
 */
export function loadNative(path: string = ADDON_PATH): NativeAddon {
  let loaded: unknown;
  try {
    loaded = createRequire(import.meta.url)(path);
  } catch (error) {
    throw loadError(path, error);
  }
  if (isNativeAddon(loaded)) return loaded;
  throw new GateError(
    'local-io',
    'native.outdated',
    `The native part at ${path} was built from other sources than this program. Run: npm run build`,
  );
}

function isNativeAddon(loaded: unknown): loaded is NativeAddon {
  if (typeof loaded !== 'object' || loaded === null) return false;
  const members = new Map<string, unknown>(Object.entries(loaded));
  return (
    members.get('version') === ADDON_VERSION &&
    Object.keys(FUNCTIONS).every((name) => typeof members.get(name) === 'function')
  );
}

function loadError(path: string, error: unknown): GateError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const text = error instanceof Error ? error.message : String(error);
  if (code === 'MODULE_NOT_FOUND') {
    const message = `The native part is not built: there is no ${path}. Run: npm run build`;
    return new GateError('local-io', 'native.not-built', message, { cause: error });
  }
  if (code === 'EACCES' || /permission denied/i.test(text)) {
    const message = `The native part at ${path} may not be read by this user. Give it read permission (chmod a+r).`;
    return new GateError('permission', 'native.permission', message, { cause: error });
  }
  const message = `The native part does not load here (${text}). Build it on this machine: npm run build`;
  return new GateError('local-io', 'native.unloadable', message, { cause: error });
}
