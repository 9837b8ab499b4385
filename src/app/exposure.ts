/** What peers can reach of this host right now, for the control socket. Asks the kernel what listens; changes nothing. */
import type { ExposureReport } from '../control/exposure.ts';
import { type ExposedHost, exposureOf } from '../core/firewall/exposure.ts';
import type { FirewallPort, TunPort } from '../core/ports.ts';
import { listeningServices } from '../io/listening.ts';
import { GateError } from '../kit/errors.ts';

/** @throws GateError `unsupported` where there is no VPN */
export async function exposureReport(
  host: ExposedHost,
  tun: TunPort | undefined,
  firewall: FirewallPort | undefined,
): Promise<ExposureReport> {
  if (tun === undefined) {
    throw new GateError('unsupported', 'exposure.no-vpn', 'the VPN is off, so peers reach nothing of this host');
  }
  const { networks, peers } = exposureOf(host, await listeningServices());
  return {
    schema: 1,
    firewall: firewall?.state().kind ?? 'off',
    networks: [...networks],
    peers: peers.map(({ name, rules, icmp, open, filtered }) => ({
      name,
      rules: [...rules],
      icmp,
      open: [...open],
      filtered: [...filtered],
    })),
  };
}
