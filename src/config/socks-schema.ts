/** The parts of the config file that say who goes out into I2P: tunnels, identities, and the SOCKS listeners that use them. */
import { z } from 'zod';
import * as value from './values.ts';

/** The words of `isolate`, as the SOCKS front knows them. */
const ISOLATION_FACTS = ['credentials', 'client', 'destination', 'port', 'listener'] as const;

export function tunnelsSchema() {
  const direction = () =>
    z.strictObject({
      length: value.wholeNumber(0, 7).prefault(3).meta({
        description: 'Routers in each tunnel. Fewer than 3 are faster and give up anonymity.',
      }),
      quantity: value.wholeNumber(1, 16).prefault(3).meta({
        description: 'Tunnels at the same time. With 1 or 2 an old i2pd may stay unreachable for minutes.',
      }),
    });
  return z.strictObject({
    inbound: direction().prefault({}).meta({ description: 'Tunnels towards this gateway.' }),
    outbound: direction().prefault({}).meta({ description: 'Tunnels from this gateway.' }),
    options: value.samOptions.prefault({}).meta({
      description: "Further options of I2CP and streaming, passed to the router as they are. None of SAM's own words.",
      example: '{ "i2cp.fastReceive" = "true" }',
    }),
  });
}

export function identitySchema() {
  return z.strictObject({
    key_file: value.secretFile.prefault('').meta({
      description:
        'Its private key, made at the first start like the one of the gateway. "" means none: it is another destination after each start.',
    }),
    tunnels: tunnelsSchema().optional().meta({
      description: 'Its tunnels, where they are to be others than those of [tunnels].',
    }),
  });
}

export function socksSchema() {
  return z.strictObject({
    listen: value.listenEndpoint.prefault('127.0.0.1:9160').meta({
      description: 'Where to listen: an address with a port, or "unix:/absolute/path". Port 0 takes any free one.',
    }),
    open: value.flag.prefault(false).meta({
      description:
        'Must be true for an address that is not loopback and has no `users`: everybody who can reach it then uses I2P in your name.',
    }),
    identity: value.identityChoice.prefault('gateway').meta({
      description:
        'Whose destination the other side sees. "gateway": that of the gateway itself, and with it the VPN address. A name: that of the identities. "isolated": transient ones that nothing connects with the gateway.',
    }),
    isolate: value.someOf(ISOLATION_FACTS).prefault(['credentials']).meta({
      description:
        'Requests that differ in one of these never share a destination: SOCKS credentials, IP address of the client, destination as it was asked for, its port, listener. Others than "credentials" need identity = "isolated".',
    }),
    ahead: value.wholeNumber(0, 64).prefault(0).meta({
      description:
        'Isolated sessions to keep ready for clients that are still to come, since building one takes up to a minute. They count as `limits.isolated_sessions`.',
    }),
    tunnels: tunnelsSchema().optional().meta({
      description:
        'With identity = "isolated": the tunnels of its sessions, where they are to be others than those of [tunnels].',
    }),
    users: value.userLines.prefault([]).meta({
      description:
        'Who may use this listener, each with a hashed password from `garligate password NAME`. Without any, credentials open nothing and are checked against nothing. SOCKS 4 knows no passwords and is refused where there are users.',
    }),
    prefer_no_auth: value.flag.prefault(false).meta({
      description:
        'Let clients that offer credentials and can do without do without, for those that offer empty ones by mistake.',
    }),
    mode: value.socketMode.prefault('0660').meta({ description: 'Permissions, where `listen` is a unix socket.' }),
    owner: value.accountName.prefault('').meta({ description: 'User that a unix socket is given to; needs root.' }),
    group: value.accountName.prefault('').meta({
      description: 'Group that a unix socket is given to; needs root, or to be a member.',
    }),
    clients: value.clientAccess.prefault({}).meta({
      description: 'Which clients may connect, by their address. Others are closed at once. Not for unix sockets.',
    }),
    destinations: value.hostAccess.prefault({}).meta({
      description:
        'Which destinations clients may reach. A name counts as the client spells it; b32 names, peers and networks count by whatever name they are reached.',
    }),
    ports: value.portAccess.prefault({}).meta({
      description: 'Which ports of destinations clients may reach.',
    }),
    max_clients: value.wholeNumber(1, 65_536).prefault(256).meta({ description: 'Clients at the same time.' }),
    max_clients_per_address: value.wholeNumber(1, 65_536).prefault(256).meta({
      description: 'Clients at the same time from one IP address. Programs of this machine all share one.',
    }),
    udp: value.flag.prefault(true).meta({
      description: 'Serve UDP ASSOCIATE. Never to clients of a unix socket.',
    }),
    udp_associations: value.wholeNumber(1, 4096).prefault(64).meta({
      description: 'UDP associations at the same time.',
    }),
    udp_rate: value.wholeNumber(1, 1_000_000).prefault(1000).meta({
      description: 'Datagrams that a client may send in a second, and as many at once; more are dropped.',
    }),
    udp_queue: value.byteSize('32KiB', '16MiB').prefault('128KiB').meta({
      description:
        'What is held of a client for one name that is being looked up, or for a session that is being built.',
    }),
    udp_source: value.oneOf(['address', 'name']).prefault('address').meta({
      description:
        'How clients are told where a datagram came from: an IPv6 address, or a b32 name for those that compare it with the name that they sent to. Both can be answered to.',
    }),
    handshake_timeout: value.duration('1s', '10m').prefault('20s').meta({
      description: 'How long a client may take to say what it wants.',
    }),
    connect_timeout: value.duration('1s', '10m').prefault('2m').meta({
      description: 'How long a connection into I2P may take.',
    }),
    idle_timeout: value.duration('0s', '24h').prefault('30m').meta({
      description: 'A connection on which nothing moves for this long is closed; "0s" means never.',
    }),
    resolve: value.flag.prefault(true).meta({
      description:
        "Answer Tor's RESOLVE and RESOLVE_PTR: the address inside fd60:db4d:ddb5::/48 that stands for a name under .i2p, and back.",
    }),
    bind: value.oneOf(['off', 'named', 'anyone']).prefault('named').meta({
      description:
        'Answer BIND, with which a client awaits one stream: "named" from a destination that it names, "anyone" also from whoever comes first.',
    }),
    bind_timeout: value.duration('1s', '24h').prefault('2m').meta({
      description: 'How long such a stream is awaited.',
    }),
    http_connect: value.flag.prefault(false).meta({
      description: 'Speak HTTP CONNECT on the same port too, for programs that know no SOCKS.',
    }),
    extended_errors: value.flag.prefault(false).meta({
      description:
        "Answer failures with Tor's codes F0 to F7 where they say more than the standard ones; a client must know them.",
    }),
  });
}
