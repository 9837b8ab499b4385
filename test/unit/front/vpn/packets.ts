/** Packets for the tests of the VPN front, and a network between two links that can fail in the ways of I2P. */
import assert from 'node:assert/strict';
import type { RelayEnd } from '../../../../src/core/dial/target.ts';
import type { Peer } from '../../../../src/core/peers/table.ts';
import { createRelayCore } from '../../../../src/core/relay/relay.ts';
import { PacketAdmission } from '../../../../src/front/vpn/admission.ts';
import type { LinkEnvironment } from '../../../../src/front/vpn/link-environment.ts';
import { RUN_BLOCK } from '../../../../src/front/vpn/outbound-packets.ts';
import { PeerLink } from '../../../../src/front/vpn/peer-link.ts';
import { Blocks } from '../../../../src/kit/blocks.ts';
import { abortError, GateError } from '../../../../src/kit/errors.ts';
import { silentLogger } from '../../../../src/kit/log.ts';
import type { Address } from '../../../../src/wire/i2p/address.ts';
import type { Waiting } from '../../../../src/wire/packet/icmpv6.ts';
import { packetLength } from '../../../../src/wire/packet/ipv6.ts';
import { encodeKeepalive } from '../../../../src/wire/packet/keepalive.ts';
import type { FakeClock } from '../../../helpers/fake-clock.ts';
import { type LineEnd, line, own, peer } from '../../core/support.ts';

/** A UDP-like packet whose payload begins with a number to tell it by. */
export function packet(from: Buffer, to: Buffer, tag: number, payload = 16): Buffer {
  const bytes = Buffer.alloc(40 + payload);
  bytes[0] = 0x60;
  bytes.writeUInt16BE(payload, 4);
  bytes[6] = 17;
  bytes[7] = 64;
  from.copy(bytes, 8);
  to.copy(bytes, 24);
  if (payload >= 4) bytes.writeUInt32BE(tag, 40);
  return bytes;
}

export function tagOf(bytes: Buffer): number {
  return bytes.readUInt32BE(40);
}

/** Cuts a run into copies of its packets. */
export function split(run: Buffer): Buffer[] {
  const packets: Buffer[] = [];
  for (let at = 0; at < run.length; ) {
    const end = at + packetLength(run, at);
    packets.push(Buffer.from(run.subarray(at, end)));
    at = end;
  }
  return packets;
}

/** OnionCat's own keepalive: ours without what an OnionCat does not know. */
export function onionCatKeepalive(from: Peer, to: Address): Buffer {
  return encodeKeepalive({
    source: from.addresses.ocat4,
    destination: to,
    flowLabel: 7,
    name: from.b32,
    announcement: undefined,
  });
}

export interface Node {
  readonly link: PeerLink;
  readonly peer: Peer;
  /** Our own addresses. */
  readonly address: Buffer;
  readonly delivered: Buffer[];
  /** Packets that waited for the peer in vain. */
  readonly undeliverable: Buffer[];
  /** What was told of packets for the peer while it was away. */
  readonly told: Waiting[];
  readonly streams: LineEnd[];
  readonly relay: ReturnType<typeof createRelayCore>;
  /** Of what came: how long the packets are that big ones stand for. */
  readonly segments: Set<number | undefined>;
  /** How often rows were to be cut again. */
  readonly cuts: number;
}

export interface NodeOptions {
  readonly clock: FakeClock;
  /** Seeds of the destinations of us and of the peer. */
  readonly me: number;
  readonly them: number;
  readonly connect?: Peer['connect'];
  readonly onionCat?: Peer['onionCat'];
  readonly takesBig?: boolean;
  readonly queue?: LinkEnvironment['queue'];
  readonly dial?: LinkEnvironment['dial'];
  readonly labelHeard?: LinkEnvironment['labelHeard'];
  /** Gets each packet instead of `Node.delivered`. */
  readonly deliver?: (packet: Buffer) => void;
}

export const QUEUE = { packets: 256, bytes: 256 * 1024, ageMs: 5_000 };

export function node(options: NodeOptions): Node {
  const { clock } = options;
  const me = own(options.me);
  const them = peer(options.them, { connect: options.connect ?? 'demand', onionCat: options.onionCat });
  const delivered: Buffer[] = [];
  const undeliverable: Buffer[] = [];
  const told: Waiting[] = [];
  const streams: LineEnd[] = [];
  const segments = new Set<number | undefined>();
  let cuts = 0;
  const relay = createRelayCore({ clock, maxPairs: 100, heldEndMs: 30_000 });
  const link = new PeerLink(them, {
    own: me,
    clock,
    log: silentLogger,
    random: () => 0.999,
    relay,
    queue: options.queue ?? QUEUE,
    blocks: new Blocks(RUN_BLOCK, 4),
    takesFlows: true,
    big: { takesBig: options.takesBig ?? false, mtu: 1500 },
    admission: new PacketAdmission(me.addresses, [them], []),
    label: () => 1,
    labelHeard: options.labelHeard ?? (() => {}),
    dial: options.dial ?? (() => Promise.reject(new GateError('peer-unreachable', 'test.nobody', 'nobody is there'))),
    deliver: (run, segment) => {
      segments.add(segment);
      for (const one of split(run)) (options.deliver ?? ((packet) => delivered.push(packet)))(one);
    },
    cut: () => {
      cuts += 1;
    },
    away: (bytes, waiting) => {
      told.push(waiting);
      if (waiting !== 'queued') undeliverable.push(Buffer.from(bytes));
    },
    tooBig: () => assert.fail('no peer of these tests takes less than it is sent'),
  });
  return {
    link,
    peer: them,
    address: me.addresses.oc,
    delivered,
    undeliverable,
    told,
    streams,
    relay,
    segments,
    get cuts() {
      return cuts;
    },
  };
}

export type Weather = 'open' | 'refuse' | 'silent';

/** Two gateways; a stream dialled by one arrives at the other after `latencyMs`. */
export class Network {
  readonly #clock: FakeClock;
  readonly lines: LineEnd[] = [];
  readonly nodes: { left: Node; right: Node };
  weather: { left: Weather; right: Weather } = { left: 'open', right: 'open' };
  latencyMs = { left: 1_000, right: 1_000 };
  readonly #connect: { left: Peer['connect']; right: Peer['connect'] };
  readonly #seeds: readonly [number, number];
  readonly #takesBig: { readonly left: boolean; readonly right: boolean };
  /** The way is cut: streams that arrive when it is mended. */
  #cut: (() => void)[] | undefined;

  constructor(
    clock: FakeClock,
    connect: { left: Peer['connect']; right: Peer['connect'] },
    seeds: readonly [number, number] = [1, 2],
    takesBig = { left: false, right: false },
  ) {
    this.#clock = clock;
    this.#connect = connect;
    this.#seeds = seeds;
    this.#takesBig = takesBig;
    this.nodes = { left: this.#make('left'), right: this.#make('right') };
  }

  /** Streams that both ends still hold. */
  get open(): number {
    return this.lines.filter((one) => !one.destroyed).length;
  }

  start(): void {
    this.nodes.left.link.start();
    this.nodes.right.link.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.nodes.left.link.stop(), this.nodes.right.link.stop()]);
  }

  /** One side dies without a word, and comes back as a new process. */
  restart(side: 'left' | 'right'): void {
    for (const one of this.lines) one.silence();
    void this.nodes[side].link.stop();
    this.nodes[side] = this.#make(side);
    this.nodes[side].link.start();
  }

  /**
   * The way between the routers is gone. They tell nobody, keep what is sent on streams, and say OK to dials; all of that
   * arrives after `mend`, even for dialers that have given up.
   */
  cut(): void {
    this.#cut ??= [];
    for (const one of this.lines) one.hold();
  }

  mend(): void {
    const arrivals = this.#cut ?? [];
    this.#cut = undefined;
    for (const one of this.lines) one.release();
    for (const arrive of arrivals) arrive();
  }

  send(from: 'left' | 'right', tag: number): void {
    const { left, right } = this.nodes;
    const [source, target] = from === 'left' ? [left, right] : [right, left];
    source.link.send(packet(source.address, target.address, tag));
  }

  tags(at: 'left' | 'right'): number[] {
    return this.nodes[at].delivered.map(tagOf);
  }

  #make(side: 'left' | 'right'): Node {
    const [left, right] = this.#seeds;
    return node({
      clock: this.#clock,
      me: side === 'left' ? left : right,
      them: side === 'left' ? right : left,
      connect: this.#connect[side],
      takesBig: this.#takesBig[side],
      dial: (_peer, signal) => this.#dial(side, signal),
    });
  }

  #dial(side: 'left' | 'right', signal: AbortSignal): Promise<RelayEnd> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        timer.cancel();
        reject(abortError(signal, 'dialing'));
      };
      const timer = this.#clock.after(this.latencyMs[side], () => {
        signal.removeEventListener('abort', onAbort);
        if (this.weather[side] === 'refuse') {
          reject(new GateError('peer-unreachable', 'test.refused', 'nobody is there'));
          return;
        }
        const [ours, theirs] = line({ halfClose: false });
        this.lines.push(ours);
        const arrive = () => this.nodes[side === 'left' ? 'right' : 'left'].link.accept(theirs, 'verified');
        if (this.weather[side] === 'silent') ours.silence();
        else if (this.#cut === undefined) arrive();
        else {
          ours.hold();
          this.#cut.push(arrive);
        }
        resolve({ stream: ours, halfClose: false });
      });
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
