/** The state of a composed gateway as the control socket shows it. Reads; changes nothing. */
import type { Config } from '../config/schema.ts';
import type { HealthItem, PeerStatus, PeerTotals, RouterState, StatusReport } from '../control/status.ts';
import type { DatagramSession } from '../core/datagram/session.ts';
import { shownAddress } from '../core/peers/table.ts';
import type { FirewallPort, TunPort } from '../core/ports.ts';
import type { SessionState } from '../core/session/life.ts';
import type { ListedSession } from '../core/session/manager.ts';
import type { PoolSnapshot } from '../core/session/pool.ts';
import type { Session } from '../core/session/session.ts';
import type { DnsLeaks } from '../front/socks/dns-leaks.ts';
import type { LinkReport } from '../front/vpn/link-report.ts';
import type { OwnEchoReport } from '../front/vpn/own-echo.ts';
import type { ControlServerSnapshot } from '../io/control-socket.ts';
import type { Clock } from '../kit/clock.ts';
import { GateError } from '../kit/errors.ts';
import type { SharesSnapshot } from '../kit/shares.ts';
import { span } from '../kit/span.ts';
import { formatAddress } from '../wire/i2p/address.ts';
import type { Gateway } from './gateway.ts';
import { meaningOf } from './identities.ts';
import type { InterfaceWatch } from './interface-watch.ts';
import {
  type Forwarding,
  firewallHealth,
  forwardingHealth,
  interfaceHealth,
  restorationHealth,
} from './network-health.ts';
import type { Pinger } from './ping.ts';

export interface ReportParts {
  readonly config: Config;
  readonly gateway: Gateway;
  readonly router: () => RouterState;
  readonly tun: TunPort | undefined;
  /** What somebody took away of the interface and was put back. */
  readonly restored: InterfaceWatch['restored'];
  /** Undefined where it is switched off, or there is no VPN. */
  readonly firewall: { readonly port: FirewallPort; readonly drops: Readonly<Record<string, number>> } | undefined;
  /** Does this host forward IPv6? */
  readonly forwards: boolean;
  readonly clock: Clock;
  readonly startedAt: number;
  readonly version: string;
  readonly rights: StatusReport['rights'];
  readonly control: ControlServerSnapshot;
  readonly pinger: Pick<Pinger, 'underWay' | 'refused'>;
}

/** A session takes 20 s to 40 s on i2pd 2.45.1; after this something is wrong. */
const SLOW_BUILD_MS = 120_000;

export function statusReport(parts: ReportParts): StatusReport {
  const { config, gateway, tun, clock } = parts;
  const now = clock.now();
  const age = (since: number) => Math.max(0, Math.round((now - since) / 100) / 10);
  const router = parts.router();
  const tunState = tun?.state();
  const peers = gateway.vpn?.links().map((link) => peerStatus(link, gateway.restartsOf(link.peer), config, age)) ?? [];
  return {
    schema: 1,
    version: parts.version,
    uptimeSeconds: age(parts.startedAt),
    router,
    rights: parts.rights,
    identity: {
      b32: gateway.own.b32,
      address: formatAddress(gateway.own.addresses.oc),
      ocat4Address: formatAddress(gateway.own.addresses.ocat4),
    },
    sessions: gateway.sessions.list().map((listed) => sessionStatus(listed, age)),
    datagrams: gateway.datagrams.list().map((session) => datagramStatus(session, age)),
    ...(tun === undefined || tunState === undefined || gateway.vpn === undefined
      ? {}
      : {
          vpn: {
            interface: tun.name,
            state: tunState,
            restored: parts.restored.count,
            mtu: tun.mtu,
            traffic: { ...tun.traffic() },
            drops: { ...gateway.vpn.drops(), ...tun.drops() },
            ownEcho: ownEchoStatus(gateway.vpn.ownEcho()),
          },
          firewall: firewallStatus(parts.firewall),
        }),
    peers,
    peerTotals: peerTotals(peers, gateway.vpn?.rebuilds() ?? 0),
    isolated: poolStatus(gateway.sessions.isolated()),
    datagramPool: poolStatus(gateway.datagrams.snapshot()),
    socks: gateway.socks.map((front, index) => {
      const { where, clients, counts, udp } = front.snapshot();
      return {
        listen: where,
        clients,
        counters: { ...counts },
        ...identityStatus(config, index),
        ...(udp === undefined ? {} : { udp: { associations: udp.associations, counters: { ...udp.counts } } }),
      };
    }),
    inbound: { armed: gateway.accepting.armed, counters: { ...gateway.inbound.counters() } },
    flows: { counters: { ...gateway.flows.counters() } },
    ...(gateway.dns === undefined ? {} : { dns: { counters: { ...gateway.dns.counters() } } }),
    dials: sharesStatus(gateway.dials()),
    lookups: sharesStatus(gateway.lookups()),
    relay: { active: gateway.relay.active, counters: { ...gateway.relay.counters() } },
    control: controlStatus(parts),
    health: [
      ...(tun === undefined || tunState === undefined
        ? []
        : networkHealth(parts, [
            ...interfaceHealth(tun.name, tunState),
            ...restorationHealth(tun.name, parts.restored, now),
          ])),
      ...nameHealth(gateway.dns?.problem()),
      ...gateway.socks.flatMap((front) => {
        const { where, dnsLeaks } = front.snapshot();
        return dnsLeaks === undefined ? [] : [leakHealth(where, dnsLeaks, now)];
      }),
      ...health(router, gateway.sessions.list()[0]?.session, now),
    ],
  };
}

function controlStatus({ control, pinger }: ReportParts): StatusReport['control'] {
  const { clients, counts } = control;
  return { clients, pings: pinger.underWay, counters: { ...counts, refusedPings: pinger.refused } };
}

function ownEchoStatus({ state, error }: OwnEchoReport): { state: string; error?: string } {
  return { state, ...(error === undefined ? {} : { error: error.message }) };
}

function firewallStatus(firewall: ReportParts['firewall']): StatusReport['firewall'] {
  if (firewall === undefined) return { state: 'off', restored: 0, drops: {} };
  const { port, drops } = firewall;
  return { state: port.state().kind, restored: port.restored.count, drops: { ...drops } };
}

function networkHealth({ config, firewall, forwards, clock }: ReportParts, ofInterface: HealthItem[]): HealthItem[] {
  const forwarding: Forwarding = { forwards, networks: config.vpn.networks.length, guarded: firewall !== undefined };
  return [
    ...ofInterface,
    ...(firewall === undefined ? [] : firewallHealth(firewall.port, clock.now())),
    ...forwardingHealth(forwarding),
  ];
}

function sessionStatus(listed: ListedSession, age: (since: number) => number): StatusReport['sessions'][number] {
  const { state } = listed.session;
  const reason = reasonOf(state)?.message;
  return {
    key: listed.kind,
    ...(listed.kind === 'named' ? { name: listed.name } : {}),
    state: state.kind,
    age: 'since' in state ? age(state.since) : 0,
    ...(reason === undefined ? {} : { reason }),
  };
}

function datagramStatus(session: DatagramSession, age: (since: number) => number): StatusReport['datagrams'][number] {
  const { state, users } = session;
  const reason = reasonOf(state)?.message;
  return {
    state: state.kind,
    age: 'since' in state ? age(state.since) : 0,
    users,
    drops: { ...session.drops() },
    ...(state.kind === 'ready' ? { b32: state.session.me.b32 } : {}),
    ...(reason === undefined ? {} : { reason }),
  };
}

function sharesStatus({ counts, ...shares }: SharesSnapshot): StatusReport['dials'] {
  return { ...shares, counters: { ...counts } };
}

function poolStatus({ counts, ...pool }: PoolSnapshot): StatusReport['isolated'] {
  return { ...pool, counters: { ...counts } };
}

/** @param index of the listener in the config */
function identityStatus(config: Config, index: number): Pick<StatusReport['socks'][number], 'identity' | 'meaning'> {
  const socks = config.socks[index];
  if (socks === undefined) throw new GateError('bug', 'bug', 'a SOCKS listener is missing in the config');
  const { identity } = socks;
  return { identity: identity.kind === 'named' ? identity.name : identity.kind, meaning: meaningOf(socks) };
}

function reasonOf(state: SessionState): GateError | undefined {
  return state.kind === 'waiting' || state.kind === 'failed' ? state.why : undefined;
}

export function peerStatus(
  link: LinkReport,
  restarts: number,
  config: Config,
  age: (since: number) => number,
): PeerStatus {
  const { peer, state, heardAt, roundTripMs, traffic, queued, underWay, bigPackets, drops, lastError } = link;
  const { packets: limitPackets, bytes: limitBytes } = config.vpn.queue;
  return {
    name: peer.name,
    address: formatAddress(shownAddress(peer)),
    b32: peer.b32,
    state: state.kind,
    age: age(link.sinceMs),
    ...(state.kind === 'up' ? { direction: state.direction } : {}),
    ...(heardAt === undefined ? {} : { heardAge: age(heardAt) }),
    ...(roundTripMs === undefined ? {} : { roundTripMs: Math.round(roundTripMs * 10) / 10 }),
    bytesIn: traffic.bytesIn,
    bytesOut: traffic.bytesOut,
    packetsIn: traffic.packetsIn,
    packetsOut: traffic.packetsOut,
    dials: traffic.dials,
    deadStreams: traffic.deadStreams,
    restarts,
    queue: { ...queued, limitPackets, limitBytes },
    ...(underWay === undefined ? {} : { underWay }),
    bigPackets,
    marked: traffic.marked,
    drops: { ...drops },
    ...(lastError === undefined ? {} : { lastError: { text: lastError.error.message, age: age(lastError.at) } }),
  };
}

function peerTotals(peers: readonly PeerStatus[], sessionRebuilds: number): PeerTotals {
  const sum = (of: (peer: PeerStatus) => number) => peers.reduce((total, peer) => total + of(peer), 0);
  const causes = new Set(peers.flatMap(({ drops }) => Object.keys(drops)));
  return {
    up: peers.filter(({ state }) => state === 'up').length,
    bytesIn: sum(({ bytesIn }) => bytesIn),
    bytesOut: sum(({ bytesOut }) => bytesOut),
    packetsIn: sum(({ packetsIn }) => packetsIn),
    packetsOut: sum(({ packetsOut }) => packetsOut),
    queuedPackets: sum(({ queue }) => queue.packets),
    queuedBytes: sum(({ queue }) => queue.bytes),
    marked: sum(({ marked }) => marked),
    drops: Object.fromEntries([...causes].map((cause) => [cause, sum(({ drops }) => drops[cause] ?? 0)])),
    sessionRebuilds,
  };
}

function nameHealth(problem: GateError | undefined): HealthItem[] {
  if (problem === undefined) return [];
  const { code, message } = problem;
  return [{ code, severity: 'low', text: message, advice: 'peers with OnionCat learn our name by keepalive as well' }];
}

/** What the operator has to know of a listener whose clients ask name servers. */
export function leakHealth(where: string, { count, first, latest }: DnsLeaks, now: number): HealthItem {
  const ago = (since: number) => `${span((now - since) / 1000)} ago`;
  const times = count === 1 ? `one address from outside I2P, ${ago(latest)}` : `${count} addresses from outside I2P`;
  const series = count === 1 ? '' : `, the first ${ago(first)} and the last ${ago(latest)}`;
  return {
    code: 'socks.dns-leak',
    severity: 'medium',
    text: `clients of the SOCKS listener ${where} handed over ${times}${series}: they have probably asked a name server for names, which then knows them`,
    advice: 'find the program that is set to socks5 or socks4 and set it to socks5h or socks4a; docs/socks.md has more',
  };
}

/** Only what the operator can act on, the cause before its consequences. */
function health(router: RouterState, gateway: Session | undefined, now: number): HealthItem[] {
  if (router.kind === 'none') {
    return [{ code: 'router.none', severity: 'high', text: router.why, advice: router.advice }];
  }
  const state = gateway?.state;
  if (state?.kind === 'failed') {
    return [
      {
        code: state.why.code,
        severity: 'high',
        text: state.why.message,
        advice: 'mend the cause and restart garligate',
      },
    ];
  }
  if (state?.kind === 'waiting') {
    return [
      {
        code: state.why.code,
        severity: 'high',
        text: state.why.message,
        advice: 'garligate tries again by itself; look at the router if this lasts',
      },
    ];
  }
  if (state?.kind === 'building' && now - state.since > SLOW_BUILD_MS) {
    return [
      {
        code: 'session.building',
        severity: 'low',
        text: 'the router has been building tunnels for minutes',
        advice: 'a fresh router needs some minutes and a network; look at its own console or log',
      },
    ];
  }
  return [];
}
