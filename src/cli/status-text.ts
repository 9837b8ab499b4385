/** The state of a gateway as text for people. */
import type { PeerStatus, RouterState, StatusReport } from '../control/status.ts';
import { counted } from '../kit/counted.ts';
import { span } from '../kit/span.ts';
import { table } from './terminal.ts';

/** A gateway that was not made to keep all of root's has fewer. */
const MOST_SHOWN = 4;

export function statusText(report: StatusReport): readonly string[] {
  const { identity, vpn, relay } = report;
  const sessions = report.sessions.map(({ key, name, state, age, reason }) => [
    'session',
    `${name === undefined ? key : `${key} ${name}`}: ${state} for ${span(age)}${reason === undefined ? '' : `, ${reason}`}`,
  ]);
  const datagrams = report.datagrams.map(({ state, age, users, b32, reason, drops }) => [
    'udp',
    `${b32 === undefined ? 'no destination' : `${b32}.b32.i2p`}: ${state} for ${span(age)}, ${counted(users, 'association')}` +
      `${reason === undefined ? '' : `, ${reason}`}${dropText(drops, 'datagram')}`,
  ]);
  const socks = report.socks.flatMap(({ listen, clients, counters, meaning, udp }) =>
    [
      `${listen}, ${counted(clients, 'client')}; ${meaning}`,
      clientsText(counters),
      udp === undefined ? '' : udpText(udp),
    ]
      .filter((text) => text !== '')
      .map((text, line) => [line === 0 ? 'socks' : '', text]),
  );
  return [
    `garligate ${report.version}, up for ${span(report.uptimeSeconds)}`,
    ...table([
      ['identity', `${identity.b32}.b32.i2p`],
      ['address', identity.address],
      ['router', routerText(report.router)],
      ['runs as', rightsText(report.rights)],
      ...sessions,
      ['isolated', poolText(report.isolated)],
      ['udp', poolText(report.datagramPool)],
      ...datagrams,
      [
        'vpn',
        vpn === undefined
          ? 'off'
          : `${vpn.interface} ${vpn.state}${againText(vpn.restored)}, mtu ${vpn.mtu}${dropText(vpn.drops, 'packet')}`,
      ],
      ...(vpn === undefined || (vpn.ownEcho.state === 'idle' && vpn.ownEcho.error === undefined)
        ? []
        : [['own echo', `${vpn.ownEcho.state}${vpn.ownEcho.error === undefined ? '' : `, ${vpn.ownEcho.error}`}`]]),
      ...(report.firewall === undefined ? [] : [['firewall', firewallText(report.firewall)]]),
      ...socks,
      ['dials', placesText(report.dials)],
      ['lookups', placesText(report.lookups)],
      ['relay', counted(relay.active, 'stream')],
    ]),
    '',
    ...(report.peers.length === 0 ? ['no peers'] : [...peersText(report.peers), totalsText(report.peerTotals)]),
    '',
    ...healthText(report.health),
  ];
}

export function peersText(peers: readonly PeerStatus[]): readonly string[] {
  const heading = [
    'PEER',
    'ADDRESS',
    'STATE',
    'DIR',
    'FOR',
    'RTT',
    'RECEIVED',
    'SENT',
    'QUEUE',
    'BIG',
    'DROPPED',
    'LAST ERROR',
  ];
  const rows = peers.map((peer) => [
    peer.name,
    peer.address,
    peer.state,
    peer.direction ?? '-',
    span(peer.age),
    peer.roundTripMs === undefined ? '-' : `${Math.round(peer.roundTripMs)}ms`,
    bytes(peer.bytesIn),
    bytes(peer.bytesOut),
    `${peer.queue.packets}/${peer.queue.limitPackets}`,
    peer.bigPackets,
    String(sum(peer.drops)),
    peer.lastError === undefined ? '-' : `${peer.lastError.text} (${span(peer.lastError.age)} ago)`,
  ]);
  return table([heading, ...rows]);
}

function totalsText(totals: StatusReport['peerTotals']): string {
  const rebuilt = totals.sessionRebuilds === 0 ? '' : `; session built anew ${counted(totals.sessionRebuilds, 'time')}`;
  const waiting = counted(totals.queuedPackets, 'packet waits', 'packets wait');
  const queued = `${waiting}, ${counted(sum(totals.drops), 'was', 'were')} dropped, ${totals.marked} marked`;
  return `${totals.up} up, ${bytes(totals.bytesIn)} received, ${bytes(totals.bytesOut)} sent, ${queued}${rebuilt}`;
}

function healthText(health: StatusReport['health']): readonly string[] {
  if (health.length === 0) return ['health: all well'];
  return health.flatMap(({ severity, code, text, advice }) => [
    `health: ${severity}: ${text} (${code})`,
    `        ${advice}`,
  ]);
}

function routerText(router: RouterState): string {
  switch (router.kind) {
    case 'external':
      return `SAM bridge at ${router.where}`;
    case 'managed':
      return `garligate's own i2pd, process ${router.pid}, for ${span(router.age)}, ${counted(router.restarts, 'restart')}`;
    case 'none':
      return `none: ${router.why}; ${router.advice}`;
    default:
      return router satisfies never;
  }
}

function rightsText({ user, capabilities, noNewPrivileges }: StatusReport['rights']): string {
  const many = capabilities.length > MOST_SHOWN ? `${capabilities.length} capabilities` : capabilities.join(' and ');
  const held = capabilities.length === 0 ? 'without any capability' : `with ${many}`;
  return `${user}, ${held}${noNewPrivileges ? '' : ', which programs can add to'}`;
}

function firewallText({ state, restored, drops }: NonNullable<StatusReport['firewall']>): string {
  return `${state}${againText(restored)}${dropText(drops, 'packet')}`;
}

function againText(restored: number): string {
  return restored === 0 ? '' : `, put back ${counted(restored, 'time')}`;
}

function poolText({ most, atLimit, inUse, idle, spare, counters }: StatusReport['isolated']): string {
  const { retiredForRoom = 0, refusedAtLimit = 0 } = counters;
  const limit = `at the limit ${atLimit}: ${retiredForRoom} retired, ${counted(refusedAtLimit, 'client')} refused`;
  const ahead = spare === 0 ? '' : `, ${spare} ahead`;
  return `${inUse} in use, ${idle} idle${ahead}, of ${most} sessions; ${limit}`;
}

function placesText({ most, taken, counters }: StatusReport['dials']): string {
  const refused = sum(counters);
  return `${taken} of ${most} under way${refused === 0 ? '' : `, ${counted(refused, 'client')} refused`}`;
}

/** How the clients of a listener have ended so far; empty while there were none. */
function clientsText(counters: StatusReport['socks'][number]['counters']): string {
  const ends = counterText(counters);
  return ends === '' ? '' : `so far: ${ends}`;
}

function udpText({ associations, counters }: NonNullable<StatusReport['socks'][number]['udp']>): string {
  const datagrams = counterText(counters);
  if (associations === 0 && datagrams === '') return '';
  return `udp: ${counted(associations, 'association')}${datagrams === '' ? '' : `; datagrams: ${datagrams}`}`;
}

/** Those that are not zero, by the names that the documentation has them under. */
function counterText(counters: Readonly<Record<string, number>>): string {
  return Object.entries(counters)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}

function dropText(drops: Readonly<Record<string, number>>, what: string): string {
  const dropped = sum(drops);
  return dropped === 0 ? '' : `, ${counted(dropped, what)} dropped`;
}

function sum(counters: Readonly<Record<string, number>>): number {
  return Object.values(counters).reduce((total, count) => total + count, 0);
}

export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
