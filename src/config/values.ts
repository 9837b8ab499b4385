/**
 * The kinds of values that settings have. Every one answers a wrong value with the same text, which says what is wanted;
 * the text of each is also what docs/config.md prints.
 */
import { z } from 'zod';
import { LOG_LEVELS } from '../kit/log.ts';
import type { Sensitive } from '../kit/sensitive.ts';
import { parseHostRule } from '../wire/access/rules.ts';
import type { B32, Destination } from '../wire/i2p/destination.ts';
import { classifyHost } from '../wire/i2p/hostname.ts';
import { parseAllowRule } from '../wire/packet/allow-rule.ts';
import { parsePortRange } from '../wire/packet/port-range.ts';
import { parseNetwork, parsePrefix } from '../wire/packet/prefix.ts';
import { LONGEST_CREDENTIAL, type PasswordHash, parsePasswordHash } from '../wire/socks/password-hash.ts';
import { isUnixPath, parseEndpoint, parseTcpEndpoint, type TcpEndpoint } from './endpoint.ts';

declare module 'zod' {
  /** What docs/config.md and the example file say about a setting, next to its `description`. */
  interface GlobalMeta {
    /** What a correct value is, as it follows the word "wanted". */
    wanted?: string;
    /** Can a running gateway take over a change (`garligate reload`)? Of a list of tables, when all their keys are. */
    live?: boolean;
    /** A value for the example file where there is no default, as TOML. */
    example?: string;
    /** What holds where an optional setting is not there. */
    otherwise?: string;
    /** What was found in its place is not quoted: it might be a password. */
    secret?: boolean;
  }
}

/** How a peer is named in the file: its hash, or its whole destination. The shapes are those of `HostName`. */
export type PeerDestination =
  | { readonly kind: 'b32'; readonly b32: B32 }
  | { readonly kind: 'destination'; readonly destination: Destination };

/** Where the SAM bridge takes datagrams over UDP. `auto` is one port below its TCP port, as on i2pd and Java I2P. */
export type DatagramPortChoice =
  | { readonly kind: 'auto' }
  | { readonly kind: 'off' }
  | { readonly kind: 'port'; readonly port: number };

export type RouterChoice = { readonly kind: 'auto' } | { readonly kind: 'managed' } | TcpEndpoint;

/** Whose name the clients of a SOCKS listener go out in. */
export type IdentityChoice =
  | { readonly kind: 'gateway' }
  /** Transient destinations that have nothing to do with the gateway's own. */
  | { readonly kind: 'isolated' }
  | { readonly kind: 'named'; readonly name: string };

/** A line from `garligate password`. */
export interface UserLine {
  readonly name: string;
  readonly hash: Sensitive<PasswordHash>;
}

export const flag = z.boolean('true or false').meta({ wanted: 'true or false' });

export const logLevel = oneOf(LOG_LEVELS);

export function oneOf<const Word extends string>(words: readonly Word[]) {
  const wanted = `one of ${words.map((word) => JSON.stringify(word)).join(', ')}`;
  return z.enum(words, wanted).meta({ wanted });
}

export function someOf<const Word extends string>(words: readonly Word[]) {
  const wanted = `a list of some of ${words.map((word) => JSON.stringify(word)).join(', ')}`;
  return z.array(z.enum(words, wanted), wanted).meta({ wanted });
}

export function wholeNumber(least: number, most: number) {
  const wanted = `a whole number from ${least} to ${most}`;
  return z
    .number(wanted)
    .refine((value) => Number.isInteger(value) && value >= least && value <= most, wanted)
    .meta({ wanted });
}

/** Text in the file, milliseconds in the program. */
export function duration(least: string, most: string) {
  const wanted = `a time with its unit (ms, s, m, h) from "${least}" to "${most}"`;
  return parsed(wanted, (text) => inRange(text, parseDuration, least, most));
}

/** Text in the file, bytes in the program. */
export function byteSize(least: string, most: string) {
  const wanted = `a size with its unit (B, KiB, MiB) from "${least}" to "${most}"`;
  return parsed(wanted, (text) => inRange(text, parseByteSize, least, most));
}

export const absolutePath = parsed('an absolute path', (text) =>
  text.startsWith('/') && !text.includes('\0') ? text : undefined,
);

/** Of a file with a secret, which people also write here in the place of its file. */
export const secretFile = parsed('an absolute path, or "" for none', (text) =>
  text === '' || (text.startsWith('/') && !text.includes('\0')) ? text : undefined,
).meta({ secret: true });

export const unixSocketPath = parsed('an absolute path of at most 107 bytes', (text) =>
  isUnixPath(text) ? text : undefined,
);

/** Text in the file, a number in the program. */
export const socketMode = parsed('permissions in octal without any for others, such as "0600" or "0660"', (text) =>
  /^0?[0-7][0-7]0$/.test(text) ? Number.parseInt(text, 8) : undefined,
);

/** Of a user or a group. */
export const accountName = parsed('a name or a number out of /etc/passwd or /etc/group, or "" for none', (text) =>
  /^([a-z_][a-z0-9_-]{0,31}\$?|\d{1,9}|)$/.test(text) ? text : undefined,
);

export const userName = parsed('the name of a user out of /etc/passwd', (text) =>
  /^[a-z_][a-z0-9_-]{0,31}\$?$/.test(text) ? text : undefined,
);

export const listenEndpoint = parsed(
  'an IP address with a port, such as "127.0.0.1:9160" or "[::1]:9160", or "unix:/absolute/path"',
  parseEndpoint,
);

export const routerChoice = parsed(
  '"auto", "managed", or an IP address with a port, such as "127.0.0.1:7656"',
  (text): RouterChoice | undefined => {
    if (text === 'auto' || text === 'managed') return { kind: text };
    const endpoint = parseTcpEndpoint(text);
    return endpoint === undefined || endpoint.port === 0 ? undefined : endpoint;
  },
);

export const datagramPort = parsed(
  '"auto", "off", or a port from "1" to "65535"',
  (text): DatagramPortChoice | undefined => {
    if (text === 'auto' || text === 'off') return { kind: text };
    const port = Number(text);
    return /^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535 ? { kind: 'port', port } : undefined;
  },
);

/** The kernel's IFNAMSIZ is 16 with the closing zero; `/`, `:` and blanks are not allowed in a name. */
export const interfaceName = parsed('1 to 15 letters, digits, dots, hyphens or underscores', (text) =>
  /^[A-Za-z0-9._-]{1,15}$/.test(text) && text !== '.' && text !== '..' ? text : undefined,
);

/** Also labels of a host name: see `HostName`. */
export const peerName = parsed('1 to 32 letters, digits, hyphens or underscores, with single dots between', (text) =>
  /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(text) && text.length <= 32 ? text : undefined,
);

const RESERVED_IDENTITIES = ['gateway', 'isolated'];
const IDENTITY_NAME = /^[A-Za-z0-9_-]{1,32}$/;

export const identityName = z
  .string()
  .refine(
    (text) => IDENTITY_NAME.test(text) && !RESERVED_IDENTITIES.includes(text),
    'a name of 1 to 32 letters, digits, hyphens or underscores, and not "gateway" or "isolated"',
  );

export const identityChoice = parsed(
  '"gateway", "isolated", or the name of one of the identities',
  (text): IdentityChoice | undefined => {
    if (text === 'gateway' || text === 'isolated') return { kind: text };
    return IDENTITY_NAME.test(text) ? { kind: 'named', name: text } : undefined;
  },
);

/** HTTP's Basic scheme knows no colon in a name, RFC 1929 no more than 255 bytes. */
export const isUserName = (text: string): boolean =>
  /^[^:\p{Cc}]+$/u.test(text) && Buffer.byteLength(text) <= LONGEST_CREDENTIAL;

const userLine = parsed('a line as `garligate password NAME` prints it', (text): UserLine | undefined => {
  const [, name = '', hashed = ''] = /^([^:]*):(.*)$/s.exec(text) ?? [];
  const hash = parsePasswordHash(hashed);
  return hash === undefined || !isUserName(name) ? undefined : { name, hash };
}).meta({ secret: true });

const USER_LINES = 'a list of lines as `garligate password NAME` prints them';

export const userLines = z.array(userLine, USER_LINES).meta({ wanted: USER_LINES });

/** Goes into a SAM command, bare: old routers refuse quotes. */
const samWord = parsed('a text without blanks, quotes and control characters', (text) =>
  /^[\x21\x23-\x7e]{1,512}$/.test(text) ? text : undefined,
);

export const samUser = parsed('a text without blanks, quotes and control characters, or "" for none', (text) =>
  /^[\x21\x23-\x7e]{0,512}$/.test(text) ? text : undefined,
);

export const samOptions = z
  .record(
    z.string().regex(/^[A-Za-z0-9_.]{1,64}$/, 'an option name of letters, digits, dots and underscores'),
    samWord,
    'a table of texts, such as { "i2cp.leaseSetEncType" = "4" }',
  )
  .meta({ wanted: 'a table of texts' });

export const peerDestination = parsed(
  'a name of 52 characters before ".b32.i2p", or a whole destination in base64',
  (text): PeerDestination | undefined => {
    const host = attempt(() => classifyHost(text));
    return host?.kind === 'b32' || host?.kind === 'destination' ? host : undefined;
  },
);

/** Where the streams of an OnionCat come from: destinations, or nobody knows. */
export const inboundOrigins = listOrWord(
  'unverified',
  peerDestination,
  'a list of destinations, each a name before ".b32.i2p" or in base64, or "unverified"',
);

function listOrWord<const Word extends string, Element extends z.ZodType>(
  word: Word,
  element: Element,
  wanted: string,
) {
  return z.union([z.literal(word), z.array(element)], wanted).meta({ wanted });
}

export const clientAccess = accessLists('an IP address or a network, such as "192.0.2.0/24"', parseNetwork);

export const hostAccess = accessLists(
  'a name or address that a client could ask for, ".NAME.i2p" for all names below, or a network inside fd60:db4d:ddb5::/48',
  parseHostRule,
);

export const portAccess = accessLists('a port or a range of ports, in quotes: "80" or "8000-8999"', parsePortRange);

/** What is let in and what is kept out. */
function accessLists<Rule>(wanted: string, parse: (text: string) => Rule | undefined) {
  const list = `a list, each ${wanted}`;
  const rules = z.array(parsed(wanted, parse), list).meta({ wanted: list });
  return z.strictObject({
    allow: rules.prefault([]).meta({ description: 'Only these; an empty list means all.' }),
    deny: rules.prefault([]).meta({ description: 'Never these, whatever `allow` says.' }),
  });
}

const ALIAS_NAME = 'a name under .i2p in lower case and in quotes, such as "forum.i2p", and no b32 name';

/** The router's address book is never asked for these. */
export const aliases = z
  .record(
    z.string().refine((text) => {
      const host = attempt(() => classifyHost(text));
      return host?.kind === 'address-book' && host.host === text;
    }, ALIAS_NAME),
    peerDestination,
    'a table of names and destinations',
  )
  .meta({ wanted: peerDestination.meta()?.wanted ?? '' });

const LONGEST_LIST = 256;

export function listOf<Item extends z.ZodType>(item: Item, example: string) {
  const wanted = `a list of at most ${LONGEST_LIST}, such as ${example}`;
  return z.array(item, wanted).max(LONGEST_LIST, wanted).meta({ wanted });
}

export const ipv6Prefix = parsed('a prefix with only zeros behind it, such as "fd12:3456:789a::/48"', parsePrefix);

export const allowRule = parsed('"icmp", "tcp/PORT", "udp/FIRST-LAST" or "all"', parseAllowRule);

const MILLISECONDS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const BYTES = { B: 1, KiB: 1024, MiB: 1024 * 1024 };

function parseDuration(text: string): number | undefined {
  return parseQuantity(text, MILLISECONDS);
}

function parseByteSize(text: string): number | undefined {
  return parseQuantity(text, BYTES);
}

function parseQuantity(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,9})([A-Za-z]+)$/.exec(text) ?? [];
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
}

function inRange(
  text: string,
  parse: (text: string) => number | undefined,
  least: string,
  most: string,
): number | undefined {
  const value = parse(text);
  return value !== undefined && value >= (parse(least) ?? 0) && value <= (parse(most) ?? 0) ? value : undefined;
}

/** A text that `parse` turns into what the program wants, or into undefined when it is wrong. */
function parsed<Out>(wanted: string, parse: (text: string) => Out | undefined) {
  return z
    .string(wanted)
    .transform((text, context) => {
      const value = parse(text);
      if (value !== undefined) return value;
      context.issues.push({ code: 'custom', input: text, message: wanted });
      return z.NEVER;
    })
    .meta({ wanted });
}

function attempt<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    // The reason is not lost: the caller says what is wanted instead.
    return undefined;
  }
}
