/**
 * Which hosts a SOCKS client may have: names under `.i2p` and addresses inside the /48, and nothing else, however it is
 * spelled; and of these, those without an objection. Pure; it is asked before anything is opened.
 */
import type { DialTarget } from '../../core/dial/target.ts';
import { asGateError, GateError } from '../../kit/errors.ts';
import { inPrefix, PREFIX_TEXT, toAddress } from '../../wire/i2p/address.ts';
import { classifyHost } from '../../wire/i2p/hostname.ts';
import type { SocksRequest } from '../../wire/socks/request.ts';

export type RequestVerdict =
  | { readonly kind: 'allowed'; readonly target: DialTarget }
  | {
      readonly kind: 'refused';
      readonly error: GateError;
      /** The client has an address from outside I2P, so probably it asked a name server for it. */
      readonly dnsLeak: boolean;
    };

/** @param objection what stands against a target that lies inside I2P */
export function judge(
  { host }: Pick<SocksRequest, 'host'>,
  objection: (target: DialTarget) => GateError | undefined,
): RequestVerdict {
  const verdict = insideI2p(host);
  const error = verdict.kind === 'allowed' ? objection(verdict.target) : undefined;
  return error === undefined ? verdict : { kind: 'refused', error, dnsLeak: false };
}

function insideI2p(host: SocksRequest['host']): RequestVerdict {
  switch (host.kind) {
    case 'ipv4':
      return foreign('ipv4');
    case 'ipv6':
      return inPrefix(host.bytes, 0)
        ? { kind: 'allowed', target: { kind: 'address', address: toAddress(host.bytes) } }
        : foreign('ipv6');
    case 'name':
      return judgeName(host.name);
    default:
      return host satisfies never;
  }
}

function judgeName(name: string): RequestVerdict {
  try {
    const host = classifyHost(name);
    switch (host.kind) {
      case 'b32':
      case 'address':
      case 'destination':
      case 'b33':
      case 'peer':
        return { kind: 'allowed', target: host };
      case 'address-book':
        return { kind: 'allowed', target: { kind: 'host', host: host.host } };
      case 'foreign':
        return foreign(host.form);
      default:
        return host satisfies never;
    }
  } catch (error) {
    return { kind: 'refused', error: asGateError(error, 'reading the host name of a SOCKS request'), dnsLeak: false };
  }
}

function foreign(form: 'ipv4' | 'ipv6' | 'name'): RequestVerdict {
  const error = (code: string, message: string) => new GateError('policy', code, message);
  switch (form) {
    case 'name':
      return {
        kind: 'refused',
        error: error('socks.foreign-name', 'a SOCKS client asked for a name that is not under .i2p'),
        dnsLeak: false,
      };
    case 'ipv4':
      return {
        kind: 'refused',
        error: error(
          'socks.foreign-ipv4',
          'a SOCKS client asked for an IPv4 address; set it to resolve names remotely',
        ),
        dnsLeak: true,
      };
    case 'ipv6':
      return {
        kind: 'refused',
        error: error('socks.foreign-ipv6', `a SOCKS client asked for an IPv6 address outside ${PREFIX_TEXT}`),
        dnsLeak: true,
      };
    default:
      return form satisfies never;
  }
}
