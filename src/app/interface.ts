/** The interface behind its firewall: brought up in an order in which no packet of a peer ever meets an open host. */
import type { Config } from '../config/schema.ts';
import { nftText } from '../core/firewall/nft-text.ts';
import type { Peer } from '../core/peers/table.ts';
import type { FirewallPort, PeerRoutes, TunPort } from '../core/ports.ts';
import { NftFirewall, removeLeftRules } from '../io/firewall-nft.ts';
import { usualSearchPath } from '../io/router.ts';
import { attachTun } from '../io/tun-linux.ts';
import type { Clock } from '../kit/clock.ts';
import type { Logger } from '../kit/log.ts';
import type { Addresses } from '../wire/i2p/address.ts';
import type { UndoStep } from './undo.ts';

export interface GuardedInterface {
  readonly tun: TunPort;
  /** Undefined where the operator has switched it off. */
  readonly firewall: FirewallPort | undefined;
}

export interface InterfaceParts {
  readonly own: Addresses;
  readonly peers: readonly Peer[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly undo: (step: UndoStep) => void;
}

/** What goes into the interface for the sake of these peers. */
export function routesOf(peers: readonly Peer[]): PeerRoutes {
  return {
    networks: peers.flatMap(({ routes }) => routes),
    hosts: peers.flatMap(({ onionCat, addresses }) => (onionCat === undefined ? [] : [addresses.oc, addresses.ocat4])),
  };
}

/** The whole firewall, as text for nft. */
export function firewallText({ vpn }: Config, own: Addresses, peers: readonly Peer[]): string {
  return nftText({ interfaceName: vpn.interface, own, networks: vpn.networks, peers });
}

/** @throws GateError when one of them cannot be had; what was brought up so far is taken down by `undo` */
export async function bringUpInterface(config: Config, parts: InterfaceParts): Promise<GuardedInterface> {
  const { own, peers, clock, log, undo } = parts;
  const { vpn } = config;
  // First of all, so that the rules of another gateway on this host are not replaced by a start that must fail.
  const attached = attachTun({
    name: vpn.interface,
    mtu: vpn.mtu,
    offload: vpn.offload,
    addresses: [own.oc, own.ocat4],
    routes: routesOf(peers),
    keepUnreachable: vpn.keep_unreachable,
  });
  undo(async () => attached.release());
  const searchPath = usualSearchPath();
  let firewall: NftFirewall | undefined;
  if (config.firewall.enabled) {
    const started = new NftFirewall({ rules: firewallText(config, own, peers), clock, log, searchPath });
    undo(() => started.stop());
    await started.start();
    firewall = started;
  } else await removeLeftRules(searchPath, clock);
  const tun = attached.bringUp();
  undo(() => tun.close());
  return { tun, firewall };
}
