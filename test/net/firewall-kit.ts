/**
 * The interface behind its real firewall, as a gateway brings it up, in the namespace of a scenario; the test is all of
 * its peers at once and puts their packets on the interface by itself, past all checks of the gateway. And a LAN.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { bringUpInterface, type GuardedInterface } from '../../src/app/interface.ts';
import { configuredPeers } from '../../src/app/peers.ts';
import { type UndoStep, withUndo } from '../../src/app/undo.ts';
import { decodeConfig } from '../../src/config/decode.ts';
import type { Peer } from '../../src/core/peers/table.ts';
import { systemClock } from '../../src/io/clock.ts';
import { silentLogger } from '../../src/kit/log.ts';
import { addressesOf } from '../../src/wire/i2p/address.ts';
import { parseB32 } from '../../src/wire/i2p/destination.ts';
import { packetLength } from '../../src/wire/packet/ipv6.ts';
import { until } from './tun-kit.ts';

export const ME = addressesOf(parseB32(`${'m'.repeat(51)}q`));

export interface PeerPlan {
  readonly name: string;
  /** TOML; none by default. */
  readonly allow?: readonly string[];
  readonly routes?: readonly string[];
}

export interface Guarded extends GuardedInterface {
  readonly peers: Readonly<Record<string, Peer>>;
  /** Puts packets of peers on the interface. */
  arrive(...packets: readonly Buffer[]): void;
  /** What the host sent to peers, as far as the kernel handed it over. */
  readonly sent: readonly Buffer[];
  /** The first packet to a peer that fits. */
  answer(fits: (packet: Buffer) => boolean, what: string): Promise<Buffer>;
  counters(): Promise<Readonly<Record<string, number>>>;
}

/** Runs `work` with the interface up, and takes it down again. */
export function guarded(
  plans: readonly PeerPlan[],
  work: (up: Guarded) => Promise<void>,
  moreToml = '',
): Promise<void> {
  return withUndo(
    (error) => assert.fail(error.message),
    async (undo) => work(await bringUp(plans, moreToml, undo)),
  );
}

async function bringUp(plans: readonly PeerPlan[], moreToml: string, undo: (step: UndoStep) => void): Promise<Guarded> {
  const tables = plans.map(({ name, allow, routes = [] }) => {
    const rules = allow === undefined ? '' : `allow = ${JSON.stringify(allow)}\n`;
    const letter = name[0] ?? 'a';
    const destination = `${letter.repeat(51)}q.b32.i2p`;
    return `[[peer]]\nname = "${name}"\ndestination = "${destination}"\nroutes = ${JSON.stringify(routes)}\n${rules}`;
  });
  const paths = { keyFile: '/k', routerDirectory: '/r', controlSocket: '/c' };
  const decoded = decodeConfig(`${moreToml}\n${tables.join('\n')}`, paths);
  assert.ok(decoded.kind === 'config', JSON.stringify(decoded));
  const peers = configuredPeers(decoded.config, ME).list();
  const parts = { own: ME, peers, clock: systemClock, log: silentLogger, undo };
  const { tun, firewall } = await bringUpInterface(decoded.config, parts);
  const sent: Buffer[] = [];
  tun.onPackets((run) => {
    for (let at = 0; at < run.length; at += packetLength(run, at)) {
      sent.push(Buffer.from(run.subarray(at, at + packetLength(run, at))));
    }
  });
  return {
    tun,
    firewall,
    peers: Object.fromEntries(peers.map((peer) => [peer.name, peer])),
    sent,
    arrive: (...packets) => tun.write(Buffer.concat(packets)),
    answer: async (fits, what) => {
      await until(() => sent.some(fits), what);
      return sent.find(fits) ?? assert.fail(what);
    },
    counters: async () => (await firewall?.drops()) ?? {},
  };
}

/** TCP services on `::`, as a careless host has them. */
export async function serve(...ports: readonly number[]): Promise<readonly Server[]> {
  const servers = ports.map((port) => createServer((client) => client.end('served')).listen(port, '::'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  return servers;
}

export interface Neighbour {
  /** Of a process in its network namespace. */
  readonly pid: number;
  /** Runs a shell text in the neighbour's namespace, to its end. @throws when it fails */
  run(script: string): string;
  /** Packets from or to the VPN that it has seen, answers and quotes in errors included. */
  seen(): number;
  stop(): Promise<void>;
}

/**
 * A host on a LAN of this one: `lan0` here, `eth0` there, with the addresses ::1 and ::2 of a prefix, this host being its
 * router. It counts what should never come its way.
 */
export async function neighbour(prefix: string): Promise<Neighbour> {
  const host = spawn('unshare', ['--net', 'sh', '-c', 'echo up; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(host.stdout, 'data');
  const inside = (script: string) =>
    execFileSync('nsenter', [`--net=/proc/${host.pid}/ns/net`, 'sh', '-ec', script], { encoding: 'utf8' });
  const here = (script: string) => execFileSync('sh', ['-ec', script], { encoding: 'utf8' });
  here(
    `ip link add lan0 type veth peer name eth0 netns ${host.pid}
     ip -6 addr add ${prefix}1/64 dev lan0 nodad; ip link set lan0 up`,
  );
  inside(
    `ip link set lo up; ip link set eth0 up; ip -6 addr add ${prefix}2/64 dev eth0 nodad
     ip -6 route add default via ${prefix}1
     nft add table ip6 seen; nft add counter ip6 seen vpn
     nft add chain ip6 seen in '{ type filter hook prerouting priority -350; }'
     nft add rule ip6 seen in ip6 saddr fd60::/16 counter name vpn
     nft add rule ip6 seen in ip6 daddr fd60::/16 counter name vpn
     # The addresses of the packet that an error quotes: 8 bytes of ICMPv6, then its header.
     nft add rule ip6 seen in icmpv6 type 1-4 @th,128,16 0xfd60 counter name vpn
     nft add rule ip6 seen in icmpv6 type 1-4 @th,256,16 0xfd60 counter name vpn`,
  );
  return {
    pid: host.pid ?? assert.fail(),
    run: inside,
    seen: () => Number(/packets (\d+)/.exec(inside('nft list counter ip6 seen vpn'))?.[1] ?? assert.fail()),
    stop: async () => {
      host.kill();
      await once(host, 'close');
    },
  };
}
