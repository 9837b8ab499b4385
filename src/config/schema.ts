/**
 * The config file: every section and key with its type, limits, default and documentation. The single source of the
 * checks (decode.ts), the commented example file and docs/config.md (render.ts). Keys are spelled in the program as in
 * the file; times are milliseconds and sizes are bytes.
 *
 * Every default stands in the file's own spelling and passes through the same checks as a user's value.
 */
import { z } from 'zod';
import { identitySchema, socksSchema, tunnelsSchema } from './socks-schema.ts';
import * as value from './values.ts';

/** Defaults that depend on who runs the program. */
export interface DefaultPaths {
  readonly keyFile: string;
  readonly routerDirectory: string;
  readonly controlSocket: string;
}

export type Config = z.output<ReturnType<typeof configSchema>>;
export type SocksConfig = Config['socks'][number];
export type TunnelsConfig = Config['tunnels'];
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
    identities: z.record(value.identityName, identitySchema(), 'a table for each name').prefault({}).meta({
      description:
        "A further destination, for the SOCKS listeners that name it: one table for each. It stands as long as the gateway does, and nothing that goes through it shows the gateway's own.",
      example: 'mail',
    }),
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
          description:
            'Permissions of the control socket. Who may open it may see peers and addresses, ping peers, and have the config file read again.',
        }),
      })
      .prefault({})
      .meta({ description: 'Control of the running gateway.' }),
    privileges: z
      .strictObject({
        user: value.userName.prefault('garligate').meta({
          description:
            'Who the gateway becomes when root has started it, once interface, rules and sockets stand; it does not start where this user does not exist. It owns nothing but sockets and /run/garligate: files stay root\'s. "root": it stays root, with all that this means. Without effect where somebody else starts it.',
        }),
      })
      .prefault({})
      .meta({ description: 'What the gateway may do on this host.' }),
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
        '"auto": the SAM bridge on 127.0.0.1:7656 if one answers, else an i2pd of its own. "managed": always an i2pd of its own. Or the address of a SAM bridge.',
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
    password_file: value.secretFile.prefault('').meta({
      description:
        'A file whose first line is the password for that user. Only its owner and group may have rights to it.',
    }),
    directory: value.absolutePath.prefault(paths.routerDirectory).meta({
      description: "Where garligate's own i2pd keeps its data.",
    }),
  });
}

function vpnSchema() {
  return z.strictObject({
    enabled: value.flag.prefault(true).meta({
      description:
        'Bring up the interface. Needs root or CAP_NET_ADMIN, or an interface that root has prepared; SOCKS works without.',
    }),
    interface: value.interfaceName.prefault('garli0').meta({ description: 'Name of the TUN interface.' }),
    mtu: value.wholeNumber(1280, 65_535).prefault(1500).meta({
      description: 'Largest packet on the interface, in bytes.',
    }),
    offload: value.flag.prefault(true).meta({
      description:
        'Exchange TCP and UDP with the kernel in larger pieces than packets, several times faster. What travels to peers is the same. Has no effect where the kernel cannot do it, or with an MTU of 16384 and more.',
    }),
    big_packets: value.flag.prefault(true).meta({
      description:
        'Send rows of TCP packets to a peer as one packet of up to 64 KiB, where the peer takes it, the kernel makes such, and the line carries 33 MB/s and more. Has no effect without `vpn.offload`.',
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
        'What is told to a peer with compat = "onioncat4" that asks over DNS (UDP 53 and 8060 on the addresses of the VPN) whose an address is: nothing, the name of this gateway, or the names of its peers as well. Nobody else is answered, and without such a peer nothing listens. Its rules let it ask where this gateway answers, whatever its `allow` says.',
    }),
    keep_unreachable: value.flag.prefault(true).meta({
      description:
        'Leave an unreachable route for fd60:db4d:ddb5::/48 behind at the end, so that no packet meant for a peer ever takes another way.',
    }),
    queue: z
      .strictObject({
        packets: value.wholeNumber(1, 65_536).prefault(1024).meta({ description: 'Packets held for a peer.' }),
        bytes: value.byteSize('2KiB', '64MiB').prefault('1MiB').meta({
          description: 'Bytes held for a peer; at least twice `vpn.mtu`.',
        }),
        age: value.duration('100ms', '5m').prefault('30s').meta({ description: 'How long a packet is worth keeping.' }),
      })
      .prefault({})
      .meta({ description: 'What waits for each peer; beyond it the flow that holds most loses its oldest.' }),
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
      description:
        '"always" keeps a stream to the peer open, "demand" opens one when there is a packet for it, and leaves it when there was none for 180 s.',
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
        'What this peer may reach here, and in `vpn.networks`: echo requests, ports, or all. `[]` means nothing. An OnionCat may also ask for names: `vpn.dns`.',
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

function limitsSchema() {
  return z.strictObject({
    accepts: value.wholeNumber(1, 32).prefault(8).meta({
      description:
        'STREAM ACCEPTs that wait at the router at the same time. One that speaks only SAM 3.1, as i2pd 2.45 does, gets one after another: with several it mixes up whose streams they are.',
    }),
    streams: value.wholeNumber(1, 65_536).prefault(1024).meta({
      description:
        'Streams at the same time, of peers and SOCKS clients together. A flow of a peer that waits for a service of this host is one.',
    }),
    dials: value.wholeNumber(1, 4096).prefault(128).meta({
      description:
        'Connections into I2P that are being made at the same time for SOCKS clients. One identity gets no more while it has as many as are free.',
    }),
    associations: value.wholeNumber(1, 65_536).prefault(256).meta({
      description: 'UDP associations at the same time, of all listeners together.',
    }),
    datagram_sessions: value.wholeNumber(1, 256).prefault(8).meta({
      description:
        'Sessions for datagrams at the same time: one for each identity in use, beside its session for streams. What happens to one more is said by `limits.isolated_at_limit`.',
    }),
    isolated_sessions: value.wholeNumber(0, 256).prefault(8).meta({
      description:
        'Transient destinations at the same time, for SOCKS clients that are kept apart: in use, idle and built ahead together.',
    }),
    isolated_idle: value.duration('10s', '24h').prefault('10m').meta({
      description:
        'How long one outlives its last stream. Then it ends, and whoever had it gets another destination the next time.',
    }),
    isolated_at_limit: value.oneOf(['retire-idle', 'refuse']).prefault('retire-idle').meta({
      description:
        'What a client gets that would need one more isolated session, or one more for datagrams. "retire-idle": the place of the one that has been idle longest; where all are in use it is refused. "refuse": nothing until one has ended by itself. No two ever share.',
    }),
  });
}
