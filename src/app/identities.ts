/** Who SOCKS clients are inside I2P: from the words of the config to the rules of sessions and listeners, and to people. */
import { mayIsolate } from '../config/identity-rules.ts';
import type { Config, SocksConfig, TunnelsConfig } from '../config/schema.ts';
import { GATEWAY } from '../core/session/key.ts';
import type { NamedIdentity, SessionManagerOptions } from '../core/session/manager.ts';
import type { IsolationFact, IsolationRules } from '../front/socks/isolation.ts';
import { counted } from '../kit/counted.ts';
import type { PrivateKeys } from '../wire/i2p/destination.ts';
import type { SessionOptions } from '../wire/sam/command.ts';

/** @param keys of the identities that have a key file */
export function sessionSettings(
  config: Config,
  keys: ReadonlyMap<string, PrivateKeys>,
): Omit<SessionManagerOptions, 'gatewayKeys' | 'keysHeldUntil' | 'credentials'> {
  const { limits } = config;
  const named = Object.entries(config.identities).map(([name, { tunnels }]): [string, NamedIdentity] => [
    name,
    { keys: keys.get(name) ?? 'transient', options: sessionOptions(tunnels ?? config.tunnels) },
  ]);
  const tunnels = new Map<string, SessionOptions>();
  const ahead = new Map<string | undefined, number>();
  for (const [index, socks] of config.socks.entries()) {
    const own = ownTunnels(socks, index);
    if (socks.tunnels !== undefined && own !== undefined) tunnels.set(own, sessionOptions(socks.tunnels));
    ahead.set(own, (ahead.get(own) ?? 0) + socks.ahead);
  }
  return {
    options: sessionOptions(config.tunnels),
    named: new Map(named),
    tunnels,
    isolated: {
      most: limits.isolated_sessions,
      atLimit: limits.isolated_at_limit,
      idleMs: limits.isolated_idle,
      ahead,
    },
  };
}

/** @param index of the listener in the config */
export function isolationRules(socks: SocksConfig, index: number): IsolationRules {
  return {
    identity: socks.identity.kind === 'gateway' ? GATEWAY : socks.identity,
    isolate: new Set(socks.isolate),
    tunnels: ownTunnels(socks, index),
  };
}

function ownTunnels(socks: SocksConfig, index: number): string | undefined {
  return socks.tunnels === undefined ? undefined : `listener ${index + 1}`;
}

const FACT_TEXT = {
  credentials: 'pair of credentials',
  client: 'client address',
  destination: 'destination',
  port: 'port',
  listener: 'listener',
} as const satisfies Record<IsolationFact, string>;

/** Who a listener serves, and what the other side sees of its clients. Shows no names of users. */
export function meaningOf(socks: SocksConfig): string {
  const users = socks.users.length === 0 ? '' : `for ${counted(socks.users.length, 'user')} only; `;
  return `${users}${seenOf(socks)}`;
}

function seenOf(socks: SocksConfig): string {
  const { identity, isolate, users } = socks;
  const mayDiffer = mayIsolate(socks);
  switch (identity.kind) {
    case 'gateway':
    case 'named': {
      const [own, kept] =
        identity.kind === 'gateway'
          ? ["this gateway's own destination, and with it its VPN address", ', except with peers']
          : [`the destination of the identity ${identity.name}, and never the gateway's own`, ''];
      if (!mayDiffer) return `sites see ${own}, whatever credentials a client shows`;
      if (users.length > 0) return `sites see a separate transient destination for each of them${kept}`;
      return `sites see ${own}; a client that shows credentials has a separate transient one${kept}`;
    }
    case 'isolated': {
      const each = isolate.map((fact) => FACT_TEXT[fact]).join(', ');
      const which = each === '' ? 'one transient destination' : `a separate transient destination for each ${each}`;
      return `sites see ${which}, and never the gateway's own; peers are not reached`;
    }
    default:
      return identity satisfies never;
  }
}

function sessionOptions(tunnels: TunnelsConfig): SessionOptions {
  return {
    'inbound.length': String(tunnels.inbound.length),
    'inbound.quantity': String(tunnels.inbound.quantity),
    'outbound.length': String(tunnels.outbound.length),
    'outbound.quantity': String(tunnels.outbound.quantity),
    // ECIES only: ElGamal costs time and no router in use needs it any more.
    'i2cp.leaseSetEncType': '4',
    ...tunnels.options,
  };
}
