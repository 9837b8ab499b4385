/**
 * The i2pd configuration of a router in the lab, made for i2pd 2.45.1 (Debian 12) and good for later ones. Text only: no
 * file is touched here. Every setting that is not obvious says why it is there.
 */

export const SAM_PORT = 7656;
const NTCP2_PORT = 12345;
/** Any number but 2, the public network's: routers of another network are refused by ours, and ours by them. */
const NETWORK_ID = 77;

/** An I2P destination that a router offers by itself, from its start. */
export type LocalTunnel = {
  readonly name: string;
  /**
   * `socks`: i2pd's own SOCKS proxy. `server`: hands streams to a TCP service. `reserved`: only keeps the destination's tunnels standing, so that a SAM
   * session with the same keys finds them ready. i2pd's `udpserver` type does that; its `server` type would take the
   * streams away from SAM.
   */
  readonly kind: 'server' | 'reserved' | 'socks';
  readonly keyFile: string;
  /** On 127.0.0.1 inside the router's namespace; of a SOCKS proxy on all its addresses. */
  readonly port: number;
};

export type RouterSettings = {
  readonly directory: string;
  readonly address: string;
  /** At least one router of a network must be a floodfill: they keep router infos and lease sets. */
  readonly floodfill: boolean;
};

/**
 * One address per router, published and bound (`host`, `address4`): NTCP2 allows one pending incoming session per source.
 * `nat = false` stops the peer tests, NTCP2 alone (no SSU2) the firewall logic. No reseeding, since there is nobody to ask.
 * The address book must be on, or i2pd crashes at the first stream, and must name a URL, or it aborts after three minutes;
 * the files from `addressBookFiles` keep it from fetching anything. No profiles: a peer that was slow once is not remembered.
 */
export function routerConfig({ directory, address, floodfill }: RouterSettings): string {
  return `
loglevel = warn
log = file
logfile = ${directory}/i2pd.log
datadir = ${directory}/data
tunconf = ${directory}/tunnels.conf
tunnelsdir = ${directory}/tunnels.d
pidfile = ${directory}/i2pd.pid
netid = ${NETWORK_ID}
nat = false
host = ${address}
address4 = ${address}
port = ${NTCP2_PORT}
ipv4 = true
ipv6 = false
reservedrange = false
floodfill = ${floodfill}
bandwidth = X
share = 100
[ntcp2]
enabled = true
published = true
port = ${NTCP2_PORT}
[ssu2]
enabled = false
published = false
[reseed]
verify = false
threshold = 0
urls =
yggurls =
[addressbook]
enabled = true
defaulturl = http://none.i2p/hosts.txt
subscriptions = http://none.i2p/hosts.txt
[nettime]
enabled = false
frompeers = false
[upnp]
enabled = false
[http]
enabled = true
address = 127.0.0.1
port = 7070
[httpproxy]
enabled = false
[socksproxy]
enabled = false
[i2pcontrol]
enabled = false
[sam]
enabled = true
address = 0.0.0.0
port = ${SAM_PORT}
[exploratory]
inbound.length = 1
inbound.quantity = 2
outbound.length = 1
outbound.quantity = 2
[persist]
profiles = false
addressbook = false
`.trimStart();
}

const TUNNEL_TYPES: Readonly<Record<LocalTunnel['kind'], string>> = {
  server: 'type = server\nhost = 127.0.0.1',
  reserved: 'type = udpserver\nhost = 127.0.0.1',
  socks: 'type = socks\naddress = 0.0.0.0',
};

/**
 * Outbound length 0 on purpose: 2.45.1 publishes a lease set only at the moment an inbound tunnel appears, and drops it
 * when no outbound tunnel stands by then. One without hops always stands, so the destination can be found at once.
 */
export function tunnelsConfig(tunnels: readonly LocalTunnel[], inboundLength: 0 | 1): string {
  return tunnels
    .map(
      ({ name, kind, keyFile, port }) => `[${name}]
${TUNNEL_TYPES[kind]}
port = ${port}
keys = ${keyFile}
signaturetype = 7
inbound.length = ${inboundLength}
inbound.quantity = 3
outbound.length = 0
outbound.quantity = 3
i2cp.leaseSetEncType = 4
`,
    )
    .join('');
}

/** With both files there, i2pd downloads no address book; the names are known from the first moment. */
export function addressBookFiles(names: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  const lines = [...names].map(([name, destination]) => `${name}=${destination}\n`);
  return { 'hosts.txt': `# The lab's names\n${lines.join('')}`, 'subscriptions.txt': '# none\n' };
}
