/** What a start says to standard output: a handful of lines about what came up. Under systemd they stay in the journal. */
import { isLocal } from '../config/endpoint.ts';
import type { Config } from '../config/schema.ts';
import type { RouterState } from '../control/status.ts';
import type { ListenerPort, TunPort } from '../core/ports.ts';
import { counted } from '../kit/counted.ts';
import { formatAddress } from '../wire/i2p/address.ts';
import { hostNameOf } from '../wire/i2p/hostname.ts';
import type { Gateway } from './gateway.ts';
import { meaningOf } from './identities.ts';

export interface StartupFacts {
  readonly config: Config;
  readonly own: Gateway['own'];
  /** Undefined where the VPN is off. */
  readonly tun: Pick<TunPort, 'name'> | undefined;
  /** One for each `[[socks]]`. */
  readonly listeners: ReadonlyArray<Pick<ListenerPort, 'where'>>;
  readonly router: RouterState;
  /** The identity is new. */
  readonly created: boolean;
}

/** @param revealed with our own names and addresses */
export function banner(up: StartupFacts, revealed: boolean): readonly string[] {
  return [...identityLines(up, revealed), ...socksLines(up), routerLine(up)];
}

function identityLines({ config, own, tun, created }: StartupFacts, revealed: boolean): readonly string[] {
  const had = created ? 'made' : 'read';
  if (!revealed) {
    return [
      `identity ${had}; \`garligate address\` and \`garligate status --reveal\` show it`,
      tun === undefined ? 'vpn is off' : `vpn up: ${tun.name}, ${counted(config.peer.length, 'peer')}`,
    ];
  }
  const address = formatAddress(own.addresses.oc);
  return [
    `identity ${had}: ${hostNameOf(own.b32)}`,
    tun === undefined
      ? `vpn is off; peers know this gateway as ${address}`
      : `vpn up: ${tun.name} has ${address} and ${formatAddress(own.addresses.ocat4)}, ${counted(config.peer.length, 'peer')}`,
  ];
}

function socksLines({ config, listeners }: StartupFacts): readonly string[] {
  return config.socks.map((socks, index) => {
    const line = `socks up: ${listeners[index]?.where ?? 'nowhere'}; ${meaningOf(socks)}`;
    const everybody = !isLocal(socks.listen) && socks.users.length === 0;
    return everybody ? `${line}; WARNING: any machine that reaches it uses I2P in your name` : line;
  });
}

function routerLine({ config, router }: StartupFacts): string {
  switch (router.kind) {
    case 'external': {
      const line = `router: SAM bridge at ${router.where}`;
      const { sam } = config.router;
      const elsewhere = sam.kind === 'tcp' && !isLocal(sam);
      return elsewhere
        ? `${line}; WARNING: on another machine, and whoever is on the way reads all, the keys included`
        : line;
    }
    case 'managed':
      return `router: garligate's own i2pd, process ${router.pid}; the first start takes some minutes`;
    case 'none':
      return `router: none yet. ${router.why}; ${router.advice}`;
    default:
      return router satisfies never;
  }
}
