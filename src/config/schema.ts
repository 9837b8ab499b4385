/**
 * The config file: every section and key with its type, limits, default and documentation. The single source of the
 * checks (decode.ts), the commented example file and docs/config.md (render.ts). Keys are spelled in the program as in
 * the file; times are milliseconds and sizes are bytes.
 *
 * Every default stands in the file's own spelling and passes through the same checks as a user's value.
 */
import { z } from 'zod';
import * as value from './values.ts';

/** Defaults that depend on who runs the program. */
export interface DefaultPaths {
  readonly keyFile: string;
  readonly routerDirectory: string;
  readonly controlSocket: string;
}

export type Config = z.output<ReturnType<typeof configSchema>>;
export type PeerConfig = Config['peer'][number];
export type RouterConfig = Config['router'];

export function configSchema(paths: DefaultPaths) {
  return z.strictObject({
    router: routerSchema(paths).prefault({}).meta({ description: 'The I2P router and its SAM bridge.' }),
    identity: z
      .strictObject({
        key_file: value.absolutePath.prefault(paths.keyFile).meta({
          description:
            "The private key of this gateway, which decides its address: one line, SAM's private key blob in I2P base64. Made at the first start, readable by its owner only.",
        }),
      })
      .prefault({})
      .meta({ description: 'Who this gateway is.' }),
    tunnels: tunnelsSchema()
      .prefault({})
      .meta({ description: "The tunnels of this gateway's destination inside I2P." }),
    vpn: vpnSchema().prefault({}).meta({ description: 'The VPN: a TUN interface with packets to and from peers.' }),
    peer: z
      .array(peerSchema(), 'a list of [[peer]] tables')
      .prefault([])
      .meta({ description: 'A gateway to exchange packets with. One [[peer]] for each; none by default.' }),
    names: value.aliases.prefault({}).meta({
      description:
        "Names of your own for destinations. They come before the router's address book, and need quotes because of their dots.",
      example: '"forum.i2p" = "ktmhezukbp6jyuldedcjmso6p4e6aegeikqli2mne67hnttgmvfa.b32.i2p"',
    }),
    lookup: lookupSchema()
      .prefault({})
      .meta({ description: "How long the answers of the router's address book are believed." }),
    firewall: z
      .strictObject({
        enabled: value.flag.prefault(true).meta({
          description:
            'Keep peers from what they are not allowed to reach, with rules in the kernel: needs nftables, and garligate does not start without. false: peers reach everything that listens here on the address of the VPN or on `::`.',
        }),
        default: value.oneOf(['deny', 'allow']).prefault('deny').meta({
          description: 'What a peer without `allow` may reach: nothing, or everything.',
          live: true,
        }),
      })
      .prefault({})
      .meta({
        description:
          'What peers may reach of this host and of the networks behind it. Answers to connections that were begun on this side always come through.',
      }),
    socks: z.array(socksSchema(), 'a list of [[socks]] tables, or []').prefault([{}]).meta({
      description:
        'A SOCKS listener (4, 4a and 5). One [[socks]] for each; without any there is one with the defaults below. `socks = []` at the top of the file means none.',
    }),
    control: z
      .strictObject({
        socket: value.unixSocketPath.prefault(paths.controlSocket).meta({
          description: 'The unix socket over which `garligate status` and its like talk to the running gateway.',
        }),
        mode: value.socketMode.prefault('0660').meta({
          description: 'Permissions of the control socket. Who may open it may see peers and addresses.',
        }),
      })
      .prefault({})
      .meta({ description: 'Control of the running gateway.' }),
    log: z
      .strictObject({
        level: value.logLevel.prefault('info').meta({
          description:
            'How much is logged, to standard error. No level shows names, destinations, keys or addresses of the VPN.',
          live: true,
        }),
      })
      .prefault({})
      .meta({ description: 'The log.' }),
    limits: limitsSchema().prefault({}).meta({ description: 'Bounds on what the gateway takes upon itself.' }),
  });
}

function routerSchema(paths: DefaultPaths) {
  return z.strictObject({
    sam: value.routerChoice.prefault('auto').meta({
      description:
        '"auto": the SAM bridge on 127.0.0.1:7656 if one answers, else an own i2pd. "managed": always an own i2pd. Or the address of a SAM bridge.',
    }),
    allow_remote: value.flag.prefault(false).meta({
      description:
        'Allow a SAM bridge on another machine. SAM is neither encrypted nor authenticated: whoever is on the way can read everything, the private key included.',
    }),
    udp: value.datagramPort.prefault('auto').meta({
      description:
        'The UDP port of the SAM bridge, for datagrams of SOCKS clients. "auto": one below its TCP port, as routers have it. "off": they go over the TCP connection, which on i2pd carries up to some 7 KB and loses bursts.',
    }),
    user: value.samUser.prefault('').meta({ description: 'User name for a SAM bridge that asks for one.' }),
    password_file: value.optionalPath.prefault('').meta({
      description:
        'A file whose first line is the password for that user. Only its owner and group may have rights to it.',
    }),
    directory: value.absolutePath.prefault(paths.routerDirectory).meta({
      description: 'Where an own i2pd keeps its data.',
    }),
  });
}

function tunnelsSchema() {
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
      description: 'Further I2CP and streaming options, passed to the router as they are.',
      example: '{ "i2cp.fastReceive" = "true" }',
    }),
  });
}

function vpnSchema() {
  return z.strictObject({
    enabled: value.flag.prefault(true).meta({
      description: 'Bring up the interface. Needs root or CAP_NET_ADMIN; SOCKS works without.',
    }),
    interface: value.interfaceName.prefault('garli0').meta({ description: 'Name of the TUN interface.' }),
    mtu: value.wholeNumber(1280, 65_535).prefault(1500).meta({
      description: 'Largest packet on the interface, in bytes.',
    }),
    offload: value.flag.prefault(true).meta({
      description:
        'Exchange TCP and UDP with the kernel in larger pieces than packets, several times faster. What travels to peers is the same. Has no effect where the kernel cannot do it, or with an MTU of 16384 and more.',
    }),
    networks: value.listOf(value.ipv6Prefix, '["fd98:7654:3210::/48"]').prefault([]).meta({
      description:
        'Networks behind this host that peers may reach, as far as their `allow` says, and whose hosts may send to peers. The host must forward IPv6 for that; garligate does not switch it on.',
    }),
    flows: value.flag.prefault(true).meta({
      description:
        "Let peers reach TCP services on this gateway's VPN address by flow, those that they may reach by packet. Such connections come from that address itself, over loopback.",
    }),
    dns: value.oneOf(['off', 'self', 'peers']).prefault('self').meta({
      description:
        'What is told to a peer with compat = "onioncat4" that asks over DNS (UDP 53 and 8060 on the addresses of the VPN) whose an address is: nothing, the name of this gateway, or the names of its peers as well. Nobody else is answered, and without such a peer nothing listens.',
    }),
    keep_unreachable: value.flag.prefault(true).meta({
      description:
        'Leave an unreachable route for fd60:db4d:ddb5::/48 behind at the end, so that no packet meant for a peer ever takes another way.',
    }),
    queue: z
      .strictObject({
        packets: value.wholeNumber(1, 65_536).prefault(256).meta({ description: 'Packets held for a peer.' }),
        bytes: value.byteSize('2KiB', '64MiB').prefault('256KiB').meta({
          description: 'Bytes held for a peer; at least twice `vpn.mtu`.',
        }),
        age: value.duration('100ms', '5m').prefault('30s').meta({ description: 'How long a packet is worth keeping.' }),
      })
      .prefault({})
      .meta({ description: 'What is held for each peer while it cannot be reached; beyond it the oldest is dropped.' }),
  });
}

function peerSchema() {
  return z.strictObject({
    name: value.peerName.meta({
      description: 'What you call this peer: in status, and as NAME.peer.b32.i2p for SOCKS clients.',
      live: true,
      example: '"alice"',
    }),
    destination: value.peerDestination.meta({
      description: "The peer's b32 name, as its `garligate address` prints it, or its whole destination in base64.",
      live: true,
      example: '"ktmhezukbp6jyuldedcjmso6p4e6aegeikqli2mne67hnttgmvfa.b32.i2p"',
    }),
    connect: value.oneOf(['always', 'demand']).prefault('always').meta({
      description: '"always" keeps a stream to the peer open, "demand" opens one when there is a packet for it.',
      live: true,
    }),
    compat: value.oneOf(['none', 'onioncat4']).prefault('none').meta({
      description:
        '"onioncat4": the peer runs OnionCat 4 with -I, not garligate. It is spoken to in its own way, under the ocat4 addresses.',
      live: true,
    }),
    inbound: value.inboundOrigins.prefault([]).meta({
      description:
        'Only with compat: the destinations besides its own that the peer opens streams from, such as that of the SOCKS tunnel of its router. "unverified": anybody may open a stream that is read as if it came from this peer, as long as it names the peer as source; answers only ever go to the peer\'s own destination.',
      live: true,
    }),
    routes: value.listOf(value.ipv6Prefix, '["fd12:3456:789a::/48"]').prefault([]).meta({
      description:
        'Networks behind this peer: packets for them go to it, and it may send packets from them. The longest prefix decides.',
      live: true,
    }),
    allow: value.listOf(value.allowRule, '["icmp", "tcp/22", "udp/5000-5010"]').optional().meta({
      description:
        'What this peer may reach here, and in `vpn.networks`: echo requests, ports, or all. `[]` means nothing.',
      otherwise: 'as `firewall.default` says',
      example: '["icmp", "tcp/22", "udp/5000-5010"]',
      live: true,
    }),
  });
}

function lookupSchema() {
  return z.strictObject({
    known: value.duration('0s', '24h').prefault('10m').meta({
      description: 'For a name that it knew. A service that moves is found again after this.',
    }),
    unknown: value.duration('0s', '1h').prefault('15s').meta({
      description: 'For a name that it did not know: you may just have added it. A new session forgets these at once.',
    }),
  });
}

function socksSchema() {
  return z.strictObject({
    listen: value.listenEndpoint.prefault('127.0.0.1:9160').meta({
      description: 'Where to listen: an address with a port, or "unix:/absolute/path". Port 0 takes any free one.',
    }),
    open: value.flag.prefault(false).meta({
      description:
        'Must be true for an address that is not loopback: everybody who can reach it then uses I2P in your name.',
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

function limitsSchema() {
  return z.strictObject({
    accepts: value.wholeNumber(1, 32).prefault(8).meta({
      description: 'STREAM ACCEPTs that wait at the router at the same time.',
    }),
    streams: value.wholeNumber(1, 65_536).prefault(1024).meta({
      description: 'Streams at the same time, of peers and SOCKS clients together.',
    }),
    dials: value.wholeNumber(1, 4096).prefault(64).meta({
      description: 'Connections into I2P that are being made at the same time.',
    }),
    associations: value.wholeNumber(1, 65_536).prefault(256).meta({
      description: 'UDP associations at the same time, of all listeners together.',
    }),
    datagram_sessions: value.wholeNumber(1, 256).prefault(8).meta({
      description:
        'Sessions for datagrams at the same time: one for each identity in use, beside its session for streams.',
    }),
    isolated_sessions: value.wholeNumber(0, 256).prefault(8).meta({
      description: 'Separate identities at the same time, for SOCKS clients that show credentials.',
    }),
  });
}
