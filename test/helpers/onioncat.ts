/**
 * An OnionCat 4.11 with -I, played after what it was seen to do: raw packets back to back, one keepalive on each stream
 * that it opens, a stream of its own towards everybody who speaks to it, no look at sources, no way back once it has lost
 * the framing. Its faults are played as well: they are what a gateway meets.
 */
import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../../src/kit/clock.ts';
import { addressesOf } from '../../src/wire/i2p/address.ts';
import { type B32, parseB32 } from '../../src/wire/i2p/destination.ts';

export interface OnionCatOptions {
  /** Its own long name: what its server tunnel is reached by. */
  readonly name: B32;
  readonly clock: Clock;
  /** Through the SOCKS tunnel of its router. */
  dial(to: B32): Promise<Duplex>;
  /** The next stream at its server tunnel. */
  accept(): Promise<Duplex>;
  /** -U: answers on the stream that a packet came on. */
  readonly bidirectional?: boolean;
  /** Started with a 16-character name: its keepalives are bare headers. */
  readonly shortName?: boolean;
  /** `connect NAME perm`. */
  readonly permanent?: readonly B32[];
  /** Never dials, whatever arrives. */
  readonly mute?: boolean;
}

/** One entry of its peer list. */
export interface OnionCatPeer {
  readonly direction: 'in' | 'out';
  readonly stream: Duplex;
  readonly permanent: boolean;
  readonly label: number;
  /** Where it sends on this stream; undefined for one that it only reads. */
  address: Buffer | undefined;
  identified: boolean;
  usedAt: number;
  over: boolean;
  held: Buffer;
}

const FRAME_BUFFER = 65_576;
const IDLE_MS = 180_000;
const KEEPALIVE_MS = 60_000;
const CLEAN_MS = 10_000;
const PREFIX = Buffer.from('fd60db4dddb5', 'hex');

export class OnionCat {
  readonly address: Buffer;
  /** What it wrote to its TUN, keepalives included. */
  readonly delivered: Buffer[] = [];
  readonly peers: OnionCatPeer[] = [];
  /** Every dial, by name. */
  readonly dials: B32[] = [];
  /** Names that keepalives have taught it, by address. */
  readonly hosts = new Map<string, B32>();
  /** Packets that found no stream, and were lost. */
  unsent = 0;
  /** How often it has thrown its buffer away. */
  badData = 0;
  readonly #options: OnionCatOptions;
  readonly #cleaner: { timer: Timer | undefined } = { timer: undefined };
  readonly #dialing = new Set<string>();
  #stopped = false;
  #labels = 0xe828a;

  constructor(options: OnionCatOptions) {
    this.#options = options;
    this.address = addressesOf(options.name).ocat4;
  }

  start(): void {
    for (const name of this.#options.permanent ?? []) {
      this.hosts.set(addressesOf(name).ocat4.toString('hex'), name);
      void this.#dial(addressesOf(name).ocat4, true);
    }
    void this.#listen();
    this.#clean();
  }

  stop(): void {
    this.#stopped = true;
    this.#cleaner.timer?.cancel();
    for (const { stream } of this.peers) stream.destroy();
  }

  /** A line of its hosts file. */
  knows(name: B32): void {
    this.hosts.set(addressesOf(name).ocat4.toString('hex'), name);
  }

  /** A packet from its TUN. Without a stream it is lost, and one is asked for. */
  send(packet: Buffer): void {
    const to = packet.subarray(24, 40);
    const peer = this.peers.find(({ address }) => address?.equals(to));
    if (peer !== undefined) this.#write(peer, packet);
    else {
      this.unsent += 1;
      void this.#dial(to, false);
    }
  }

  /** Whatever somebody else than it would write on the stream on which it sends to this address. */
  sendRaw(to: Buffer, bytes: Buffer): void {
    const peer = this.peers.find(({ address }) => address?.equals(to));
    if (peer === undefined) throw new Error('there is no such stream');
    this.#write(peer, bytes);
  }

  /** The 102 bytes, or 40 of an old one. */
  keepalive(to: Buffer, label: number): Buffer {
    const payload = this.#options.shortName
      ? Buffer.alloc(0)
      : Buffer.from(`\x01${this.#options.name}.b32.i2p\0`, 'latin1');
    const header = Buffer.alloc(40);
    header.writeUInt32BE(0x60000000 + label, 0);
    header.writeUInt16BE(payload.length, 4);
    header[6] = 59;
    header[7] = 1;
    this.address.copy(header, 8);
    to.copy(header, 24);
    return Buffer.concat([header, payload]);
  }

  async #listen(): Promise<void> {
    while (!this.#stopped) {
      try {
        this.#add(await this.#options.accept(), 'in', undefined, false);
      } catch {
        return;
      }
    }
  }

  async #dial(to: Buffer, permanent: boolean): Promise<void> {
    const key = to.toString('hex');
    const name = this.hosts.get(key);
    if (this.#options.mute || this.#dialing.has(key) || name === undefined || this.#stopped) return;
    this.#dialing.add(key);
    this.dials.push(name);
    try {
      const stream = await this.#options.dial(name);
      const peer = this.#add(stream, 'out', Buffer.from(to), permanent);
      this.#write(peer, this.keepalive(to, peer.label));
    } catch {
      // It tries again when a packet wants to go there.
    } finally {
      this.#dialing.delete(key);
    }
  }

  #add(stream: Duplex, direction: 'in' | 'out', address: Buffer | undefined, permanent: boolean): OnionCatPeer {
    this.#labels = (this.#labels + 1) % 0x100000;
    const peer: OnionCatPeer = {
      direction,
      stream,
      permanent,
      label: this.#labels,
      address,
      identified: direction === 'out',
      usedAt: this.#options.clock.now(),
      over: false,
      held: Buffer.alloc(0),
    };
    // The newest is found first.
    this.peers.unshift(peer);
    stream.on('data', (chunk: Buffer) => this.#read(peer, chunk));
    const end = () => {
      // It stays in the list until the cleaner comes round.
      peer.over = true;
      stream.destroy();
    };
    stream.on('end', end);
    stream.on('close', end);
    stream.resume();
    return peer;
  }

  #read(peer: OnionCatPeer, chunk: Buffer): void {
    peer.usedAt = this.#options.clock.now();
    for (let at = 0; at < chunk.length; at += FRAME_BUFFER) {
      peer.held = Buffer.concat([peer.held, chunk.subarray(at, at + FRAME_BUFFER)]);
      this.#frame(peer);
    }
  }

  #frame(peer: OnionCatPeer): void {
    while (peer.held.length > 0) {
      const version = (peer.held[0] ?? 0) >> 4;
      if (version !== 6) {
        this.badData += 1;
        peer.held = Buffer.alloc(0);
        return;
      }
      if (peer.held.length < 40) return;
      const length = 40 + peer.held.readUInt16BE(4);
      if (peer.held.length < length) return;
      const packet = Buffer.from(peer.held.subarray(0, length));
      peer.held = peer.held.subarray(length);
      this.#packet(peer, packet);
    }
  }

  #packet(peer: OnionCatPeer, packet: Buffer): void {
    if (!packet.subarray(24, 30).equals(PREFIX)) return;
    if (!peer.identified) this.#identify(peer, packet);
    this.delivered.push(packet);
  }

  #identify(peer: OnionCatPeer, packet: Buffer): void {
    const source = Buffer.from(packet.subarray(8, 24));
    if (packet[6] === 59) {
      peer.identified = true;
      const name = nameIn(packet);
      if (name !== undefined && addressesOf(name).ocat4.equals(source)) this.hosts.set(source.toString('hex'), name);
    }
    if (this.#options.bidirectional) peer.address = source;
    else if (!this.peers.some(({ address }) => address?.equals(source))) void this.#dial(source, false);
  }

  #write(peer: OnionCatPeer, bytes: Buffer): void {
    peer.usedAt = this.#options.clock.now();
    if (!peer.over) peer.stream.write(bytes);
  }

  #clean(): void {
    const now = this.#options.clock.now();
    for (const peer of [...this.peers]) {
      if (peer.over) {
        this.peers.splice(this.peers.indexOf(peer), 1);
        if (peer.permanent && peer.address !== undefined) void this.#dial(peer.address, true);
      } else if (peer.permanent && peer.address !== undefined) {
        if (now - peer.usedAt >= KEEPALIVE_MS) this.#write(peer, this.keepalive(peer.address, peer.label));
      } else if (now - peer.usedAt >= IDLE_MS) peer.stream.destroy();
    }
    this.#cleaner.timer = this.#options.clock.after(CLEAN_MS, () => this.#clean());
  }
}

/** Of a keepalive: version 1 and a name up to the first NUL; what stands behind it is not looked at. */
function nameIn(keepalive: Buffer): B32 | undefined {
  const nul = keepalive.indexOf(0, 41);
  if (keepalive[40] !== 1 || nul < 0) return undefined;
  const [, label] = /^(.{52})\.b32\.i2p$/.exec(keepalive.toString('latin1', 41, nul)) ?? [];
  try {
    return label === undefined ? undefined : parseB32(label);
  } catch {
    return undefined;
  }
}
