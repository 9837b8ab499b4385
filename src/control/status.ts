/**
 * The state of a running gateway as `status --json` prints it: a stable form with a version of its own. Shown only to
 * whoever may open the control socket; the full names in it only on request.
 */
import { z } from 'zod';

const count = z.number().int().nonnegative();
const counters = z.record(z.string(), count);
/** Seconds since that came about. */
const age = z.number().nonnegative();

const router = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('external'), where: z.string() }),
  z.object({ kind: z.literal('managed'), pid: count, age, restarts: count }),
  z.object({ kind: z.literal('none'), why: z.string(), advice: z.string() }),
]);

const session = z.object({
  /** `spare` is an isolated one that nobody has asked for yet. */
  key: z.enum(['gateway', 'named', 'isolated', 'spare', 'own-echo']),
  /** Of a named identity, as in the config. */
  name: z.string().optional(),
  state: z.string(),
  age,
  reason: z.string().optional(),
});

const datagramSession = z.object({
  state: z.string(),
  age,
  /** UDP associations. */
  users: count,
  /** 52 characters, or the shortened form: where datagrams for it are sent to. Absent while there is none. */
  b32: z.string().optional(),
  reason: z.string().optional(),
  drops: counters,
});

/** Sessions that come and go with those who need them. */
const pool = z.object({
  most: count,
  /** What happens to a client that would need one more. */
  atLimit: z.enum(['retire-idle', 'refuse']),
  inUse: count,
  /** Kept for whoever had them. */
  idle: count,
  /** Built ahead of need. */
  spare: count,
  counters,
});

/** What is under way for SOCKS clients, of which there are only so many at a time, and so many for each. */
const shares = z.object({ most: count, taken: count, counters });

const peerStatus = z.object({
  name: z.string(),
  /** The oc address. */
  address: z.string(),
  /** 52 characters, or the shortened form. */
  b32: z.string(),
  state: z.string(),
  age,
  /** Who dialled the stream in use: `out` is us. */
  direction: z.enum(['in', 'out']).optional(),
  /** Since the peer was last heard; absent when it never was. */
  heardAge: age.optional(),
  /** Smoothed; absent while it is unknown, and for an OnionCat. */
  roundTripMs: z.number().nonnegative().optional(),
  bytesIn: count,
  bytesOut: count,
  packetsIn: count,
  packetsOut: count,
  dials: count,
  /** Streams that were given up because nothing was heard on them. */
  deadStreams: count,
  /** Times that the peer was seen to have begun anew, with a new session: what was open to it before is over. */
  restarts: count,
  queue: z.object({ packets: count, bytes: count, flows: count, limitPackets: count, limitBytes: count }),
  /** Sent and not known to have arrived, and its bound; absent where the peer does not say. Bytes. */
  underWay: z.object({ bytes: z.number(), limit: z.number() }).optional(),
  /** Rows of TCP packets as one; `agreed`: both sides take them, and the line is too slow to send any. */
  bigPackets: z.enum(['off', 'agreed', 'sending']),
  /** Packets that were marked to slow their sender down, and not dropped. */
  marked: count,
  drops: counters,
  lastError: z.object({ text: z.string(), age }).optional(),
});

/** Of all peers together. */
const peerTotals = z.object({
  up: count,
  bytesIn: count,
  bytesOut: count,
  packetsIn: count,
  packetsOut: count,
  queuedPackets: count,
  queuedBytes: count,
  marked: count,
  drops: counters,
  /** Times that the session was built anew because a peer did not answer on the old one. */
  sessionRebuilds: count,
});

const healthItem = z.object({
  /** Dotted and stable, such as `router.down`. */
  code: z.string(),
  severity: z.enum(['low', 'medium', 'high']),
  text: z.string(),
  advice: z.string(),
});

export const statusReport = z.object({
  schema: z.literal(1),
  version: z.string(),
  uptimeSeconds: z.number().nonnegative(),
  router,
  /** What the gateway may do on this host. */
  rights: z.object({
    /** Who it runs as: a name, or a number where there is none. */
    user: z.string(),
    /** Such as CAP_NET_ADMIN; in any of its threads. */
    capabilities: z.array(z.string()),
    /** No program that it starts can have more. */
    noNewPrivileges: z.boolean(),
  }),
  identity: z.object({
    b32: z.string(),
    address: z.string(),
    ocat4Address: z.string(),
  }),
  sessions: z.array(session),
  /** The sessions for datagrams of SOCKS clients. */
  datagrams: z.array(datagramSession),
  /** The transient sessions of SOCKS clients that are kept apart. */
  isolated: pool,
  /** The sessions for datagrams as a whole. */
  datagramPool: pool,
  /** Absent when vpn.enabled is false. */
  vpn: z
    .object({
      interface: z.string(),
      state: z.string(),
      /** Times that somebody took an address or a route away and it was put back. */
      restored: count,
      mtu: count,
      /** Between the kernel and us: packets, bytes, and the calls that passed them. */
      traffic: counters,
      drops: counters,
      /** The stream to ourselves, behind fd60:db4d:ddb5::feed:beef. */
      ownEcho: z.object({ state: z.string(), error: z.string().optional() }),
    })
    .optional(),
  /** Absent when vpn.enabled is false. Drops are counted from when the rules were last loaded. */
  firewall: z.object({ state: z.enum(['on', 'off', 'broken']), restored: count, drops: counters }).optional(),
  peers: z.array(peerStatus),
  peerTotals,
  socks: z.array(
    z.object({
      listen: z.string(),
      clients: count,
      counters,
      /** Absent where UDP ASSOCIATE is not served. */
      udp: z.object({ associations: count, counters }).optional(),
      /** As in the config: `gateway`, `isolated`, or the name of an identity. */
      identity: z.string(),
      /** What the other side sees of the clients, as a sentence. */
      meaning: z.string(),
    }),
  ),
  /** Streams that others opened to us. */
  inbound: z.object({ armed: count, counters }),
  /** TCP connections of peers to services on our VPN address. */
  flows: z.object({ counters }),
  /** Questions of OnionCats for names; absent when nothing listens for them. */
  dns: z.object({ counters }).optional(),
  /** Connections into I2P that are being made. */
  dials: shares,
  /** Questions to the router for names. */
  lookups: shares,
  relay: z.object({ active: count, counters }),
  /** Those who ask over the control socket. */
  control: z.object({ clients: count, pings: count, counters }),
  health: z.array(healthItem),
});

export type StatusReport = z.output<typeof statusReport>;
export type RouterState = z.output<typeof router>;
export type PeerTotals = z.output<typeof peerTotals>;
export type PeerStatus = z.output<typeof peerStatus>;
export type HealthItem = z.output<typeof healthItem>;

/** Undefined for what is no report of this version. */
export function parseStatus(value: unknown): StatusReport | undefined {
  return statusReport.safeParse(value).data;
}

export function parsePeers(value: unknown): readonly PeerStatus[] | undefined {
  return z.array(peerStatus).safeParse(value).data;
}

/** The report without full names and addresses of destinations, fit for a screenshot. */
export function shortened(report: StatusReport): StatusReport {
  return {
    ...report,
    identity: {
      b32: shortB32(report.identity.b32),
      address: shortAddress(report.identity.address),
      ocat4Address: shortAddress(report.identity.ocat4Address),
    },
    datagrams: report.datagrams.map((one) => (one.b32 === undefined ? one : { ...one, b32: shortB32(one.b32) })),
    peers: report.peers.map((one) => ({ ...one, b32: shortB32(one.b32), address: shortAddress(one.address) })),
  };
}

/** Enough to tell a handful of peers apart, too little to dial one. */
function shortB32(b32: string): string {
  return b32.length <= 12 ? b32 : `${b32.slice(0, 4)}…${b32.slice(-4)}`;
}

/** An address is 80 bits of the hash: whoever has it can tell whose it is. */
function shortAddress(address: string): string {
  const groups = address.split(':');
  return `${groups.slice(0, PREFIX_GROUPS + 1).join(':')}…${groups.at(-1) ?? ''}`;
}

/** fd60:db4d:ddb5, which is everybody's. */
const PREFIX_GROUPS = 3;
