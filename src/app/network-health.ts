/** What the operator has to know of the interface, the firewall and forwarding, and what can be done about it. Pure. */
import type { HealthItem } from '../control/status.ts';
import type { FirewallPort, TunState } from '../core/ports.ts';
import { counted } from '../kit/counted.ts';
import { PREFIX_TEXT } from '../wire/i2p/address.ts';

/** What the operator has to know of an interface in this state. */
export function interfaceHealth(name: string, state: TunState): HealthItem[] {
  switch (state) {
    case 'up':
      return [];
    case 'down':
      return [
        {
          code: 'tun.down',
          severity: 'high',
          text: `somebody has set the interface ${name} down, and the VPN carries nothing`,
          advice: `ip link set ${name} up; garligate puts its addresses and routes back then`,
        },
      ];
    case 'incomplete':
      return [
        {
          code: 'tun.incomplete',
          severity: 'high',
          text: `the interface ${name} is up, but has lost an address or a route, which could not be put back`,
          advice: 'garligate tries again every two seconds, and the log says why it fails; else restart it',
        },
      ];
    case 'diverted':
      return [
        {
          code: 'tun.diverted',
          severity: 'high',
          text: `a route of somebody else leads a part of ${PREFIX_TEXT} past the interface ${name}`,
          advice: `find it with: ip -6 route show table all root ${PREFIX_TEXT}; remove it, and find out who added it`,
        },
      ];
    default:
      return state satisfies never;
  }
}

/** How long the operator is told that somebody changed what is ours. */
const TOLD_MS = 60 * 60_000;

/** @param restored see InterfaceWatch */
export function restorationHealth(
  name: string,
  { count, lastMs }: { readonly count: number; readonly lastMs: number | undefined },
  now: number,
): HealthItem[] {
  if (lastMs === undefined || now - lastMs > TOLD_MS) return [];
  return [
    {
      code: 'tun.restored',
      severity: 'medium',
      text: `somebody took an address or a route of the interface ${name} away, and it was put back (${counted(count, 'time')} so far)`,
      advice: `let whatever manages networks on this host leave ${name} alone, as NetworkManager does with unmanaged-devices`,
    },
  ];
}

export function firewallHealth(firewall: Pick<FirewallPort, 'state' | 'restored'>, now: number): HealthItem[] {
  const { restored } = firewall;
  const current = firewall.state();
  if (current.kind === 'broken') {
    return [
      {
        code: 'firewall.broken',
        severity: 'high',
        text: `the rules of the firewall are gone, so peers reach whatever listens here: ${current.why.message}`,
        advice: 'garligate tries again every second; look with: nft list table ip6 garligate',
      },
    ];
  }
  if (restored.lastMs === undefined || now - restored.lastMs > TOLD_MS) return [];
  return [
    {
      code: 'firewall.restored',
      severity: 'medium',
      text: `somebody changed or removed the rules of the firewall, and they were put back (${counted(restored.count, 'time')} so far)`,
      advice: 'let whatever loads other rules leave the table "ip6 garligate" alone: no "flush ruleset"',
    },
  ];
}

export interface Forwarding {
  readonly forwards: boolean;
  /** How many networks lie behind this gateway. */
  readonly networks: number;
  /** Whether the firewall is on. */
  readonly guarded: boolean;
}

export function forwardingHealth({ forwards, networks, guarded }: Forwarding): HealthItem[] {
  if (networks > 0 && !forwards) {
    return [
      {
        code: 'forwarding.off',
        severity: 'medium',
        text: 'this host does not forward IPv6, so peers cannot reach the networks in vpn.networks',
        advice:
          'sysctl -w net.ipv6.conf.all.forwarding=1; the host then takes no default route from router advertisements ' +
          'unless accept_ra is 2 for that interface',
      },
    ];
  }
  if (forwards && !guarded) {
    return [
      {
        code: 'forwarding.unguarded',
        severity: 'medium',
        text: 'this host forwards IPv6 and the firewall is off: peers reach every port in vpn.networks',
        advice: 'set [firewall] enabled = true, or see to it that other rules guard these networks',
      },
    ];
  }
  return [];
}
