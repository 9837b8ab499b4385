/**
 * What a peer may be allowed to reach, in the operator's words: `icmp`, `tcp/22`, `udp/5000-5010` or `all`. The meaning
 * of a list of them is decided here, once, for packets and for flows.
 */
import { formatPortRange, inRange, type PortRange, parsePortRange } from './port-range.ts';

export type AllowRule =
  | { readonly kind: 'all' }
  /** Echo requests. Errors about what is allowed anyway need no rule. */
  | { readonly kind: 'icmp' }
  | ({ readonly kind: 'tcp' | 'udp' } & PortRange);

/** What somebody wants to reach. */
export type RequestedService =
  | { readonly protocol: 'icmp' }
  | { readonly protocol: 'tcp' | 'udp'; readonly port: number };

/** @returns undefined for what is no rule */
export function parseAllowRule(text: string): AllowRule | undefined {
  if (text === 'all' || text === 'icmp') return { kind: text };
  const [, kind, ports = ''] = /^(tcp|udp)\/(.*)$/.exec(text) ?? [];
  if (kind !== 'tcp' && kind !== 'udp') return undefined;
  const range = parsePortRange(ports);
  return range && { kind, ...range };
}

export function formatAllowRule(rule: AllowRule): string {
  if (rule.kind === 'all' || rule.kind === 'icmp') return rule.kind;
  return `${rule.kind}/${formatPortRange(rule)}`;
}

/** Does any of the rules let this in? */
export function permits(rules: readonly AllowRule[], service: RequestedService): boolean {
  return rules.some((rule) => {
    switch (rule.kind) {
      case 'all':
        return true;
      case 'icmp':
        return service.protocol === 'icmp';
      case 'tcp':
      case 'udp':
        return service.protocol === rule.kind && inRange(service.port, rule);
      default:
        return rule satisfies never;
    }
  });
}

/** The ports of one protocol that the rules let in: in order, none twice, with no two ranges that touch. */
export function portsOf(rules: readonly AllowRule[], protocol: 'tcp' | 'udp'): readonly PortRange[] {
  const wanted = rules.flatMap((rule) => (rule.kind === protocol ? [rule] : []));
  const joined: { first: number; last: number }[] = [];
  for (const { first, last } of wanted.toSorted((one, other) => one.first - other.first)) {
    const before = joined.at(-1);
    if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last);
    else joined.push({ first, last });
  }
  return joined;
}
