/**
 * HTTP CONNECT (RFC 9110 section 9.3.6) from behind its first byte to the blank line: the request target and who asks, and
 * nothing else. Strict: lines end with CR LF, nothing is folded, and a request that announces a body is refused, so that
 * no two readers of it could ever see two different requests.
 */
import { GateError } from '../../kit/errors.ts';
import { Sensitive } from '../../kit/sensitive.ts';
import { type Exchange, upTo } from './exchange.ts';
import type { NamedHost, SocksCredentials } from './request.ts';

export type HttpConnect =
  | {
      readonly kind: 'connect';
      readonly host: NamedHost;
      /** 1..65535 */
      readonly port: number;
      readonly credentials: Sensitive<SocksCredentials> | undefined;
    }
  /** 400: no request that could be granted. */
  | { readonly kind: 'bad-request'; readonly error: GateError };

/** Of the request line and all header fields together. */
const LONGEST_HEAD = 8192;
const LF = 0x0a;
/** As for SOCKS5, whose credentials these are. */
const LONGEST_CREDENTIAL = 255;
const LONGEST_HOST = 255;

/** Characters of a field name (RFC 9110 section 5.6.2), and of a value: visible ones, bytes above them, blank and tab. */
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*$/;
/** The target has no blank, no slash and no `@`, whatever else it may be. */
const REQUEST_LINE = /^CONNECT (\[[0-9A-Fa-f:.]+\]|[^ :/@?#[\]\\]+):(\d{1,5}) HTTP\/1\.[01]$/;

/** @param first what was read already: the `C` of CONNECT, or more */
export function* httpConnect(first: string): Exchange<HttpConnect> {
  let left = LONGEST_HEAD - first.length;
  function* line(): Exchange<string | undefined> {
    const bytes = yield* upTo(LF, left);
    if (bytes === undefined) return undefined;
    left -= bytes.length + 1;
    const text = bytes.toString('latin1');
    return text.endsWith('\r') ? text.slice(0, -1) : undefined;
  }

  const requestLine = yield* line();
  if (requestLine === undefined) return badRequest('its request line does not end with CR LF, or is too long');
  const [, host = '', digits = ''] = REQUEST_LINE.exec(`${first}${requestLine}`) ?? [];
  const port = Number(digits);
  if (host.length === 0 || host.length > LONGEST_HOST || port < 1 || port > 65_535) {
    return badRequest('its first line is not "CONNECT host:port HTTP/1.1"');
  }

  let credentials: Sensitive<SocksCredentials> | undefined;
  for (;;) {
    const field = yield* line();
    if (field === undefined) return badRequest('a header line does not end with CR LF, or the header is too long');
    if (field === '') return { kind: 'connect', host: { kind: 'name', name: host }, port, credentials };
    const [, name = '', value = ''] = FIELD.exec(field) ?? [];
    switch (name.toLowerCase()) {
      case '':
        return badRequest('a header line is no header field');
      case 'transfer-encoding':
        return badRequest('it announces a body');
      case 'content-length':
        if (value !== '0') return badRequest('it announces a body');
        break;
      case 'proxy-authorization': {
        if (credentials !== undefined) return badRequest('it has two Proxy-Authorization fields');
        credentials = basicCredentials(value);
        if (credentials === undefined) return badRequest('its Proxy-Authorization is not Basic with user:password');
        break;
      }
      default:
        // The Host field too: what is connected is what the first line says.
        break;
    }
  }
}

/** RFC 7617: base64 of `user:password`; the user has no colon, the password may. */
function basicCredentials(value: string): Sensitive<SocksCredentials> | undefined {
  const [, token] = /^basic +([A-Za-z0-9+/]*={0,2})$/i.exec(value) ?? [];
  if (token === undefined || token.length % 4 !== 0) return undefined;
  const bytes = Buffer.from(token, 'base64');
  const colon = bytes.indexOf(':');
  if (colon === -1) return undefined;
  const [user, password] = [bytes.subarray(0, colon), bytes.subarray(colon + 1)];
  if (user.length > LONGEST_CREDENTIAL || password.length > LONGEST_CREDENTIAL) return undefined;
  return new Sensitive({ user, password });
}

function badRequest(why: string): HttpConnect {
  return {
    kind: 'bad-request',
    error: new GateError('client-protocol', 'socks.http-request', `an HTTP CONNECT was not understood: ${why}`),
  };
}
