/** Every key of the config file does something: it arrives in the config, in the unit of the program, and somebody reads it. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { decodeConfig, defaultConfig } from '../../../src/config/decode.ts';
import { configSchema } from '../../../src/config/schema.ts';
import { isSame } from '../../../src/kit/same.ts';
import { parsePasswordHash } from '../../../src/wire/socks/password-hash.ts';

const PATHS = { keyFile: '/k', routerDirectory: '/r', controlSocket: '/c' };
const SOURCE = join(import.meta.dirname, '../../../src');
/** They give a value to every key, and read none. */
const MAKERS = ['config/schema.ts', 'config/socks-schema.ts', 'config/values.ts'];
const ALICE = 'ktmhezukbp6jyuldedcjmso6p4e6aegeikqli2mne67hnttgmvfa';
const BOB = 'j3dtidfppd6mkxecq6cz7raw44auavkmihlvuqb4fea7qcwuqtua';
const PASSWORD_HASH = `$scrypt$ln=15,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`;

/** Each key once, with another value than its default and than its neighbours. */
const TEXT = `
[router]
sam = "192.0.2.1:7656"
allow_remote = true
udp = "7655"
user = "sam"
password_file = "/p"
directory = "/d"
[identity]
key_file = "/i"
[identities.mail]
key_file = "/m"
tunnels.inbound = { length = 1, quantity = 2 }
tunnels.outbound = { length = 4, quantity = 5 }
tunnels.options = { "i2cp.leaseSetEncType" = "4" }
[tunnels]
inbound = { length = 0, quantity = 1 }
outbound = { length = 2, quantity = 4 }
options = { "i2cp.leaseSetEncType" = "4,0" }
[vpn]
enabled = false
interface = "vpn9"
mtu = 1400
offload = false
big_packets = false
networks = ["fd98:7654:3210::/48"]
flows = false
dns = "peers"
keep_unreachable = false
queue = { packets = 7, bytes = "64KiB", age = "250ms" }
[[peer]]
name = "Alice"
destination = "${ALICE.toUpperCase()}.b32.i2p"
connect = "demand"
compat = "onioncat4"
inbound = ["${BOB}.b32.i2p"]
routes = ["fd12:3456:789a::/48"]
allow = ["tcp/22"]
[names]
"forum.i2p" = "${BOB}.b32.i2p"
[lookup]
known = "1h"
unknown = "0s"
[firewall]
enabled = false
default = "allow"
[[socks]]
listen = "0.0.0.0:1"
open = true
identity = "isolated"
isolate = ["client", "port"]
ahead = 3
tunnels.inbound = { length = 5, quantity = 6 }
tunnels.outbound = { length = 6, quantity = 7 }
tunnels.options = { "i2cp.leaseSetEncType" = "6,4" }
prefer_no_auth = true
clients = { allow = ["192.0.2.0/24"], deny = ["192.0.2.9"] }
destinations = { allow = [".forum.i2p"], deny = ["www.forum.i2p"] }
ports = { allow = ["8000-8999"], deny = ["8080"] }
max_clients = 9
max_clients_per_address = 8
udp = false
udp_associations = 7
udp_rate = 6
udp_queue = "32KiB"
udp_source = "name"
handshake_timeout = "90s"
connect_timeout = "10s"
idle_timeout = "0s"
resolve = false
bind = "off"
bind_timeout = "5m"
http_connect = true
extended_errors = true
# Users are an alternative to prefer_no_auth, and what a unix socket has to who is open.
[[socks]]
listen = "unix:/s"
users = ["carol:${PASSWORD_HASH}"]
mode = "0600"
owner = "dave"
group = "staff"
[control]
socket = "/x"
mode = "0620"
[privileges]
user = "nobody"
[log]
level = "debug"
[limits]
accepts = 1
streams = 2
dials = 3
associations = 4
datagram_sessions = 5
isolated_sessions = 6
isolated_idle = "2h"
isolated_at_limit = "refuse"
`;

const prefix = (hex: string, bits: number) => ({ bytes: Buffer.from(hex.padEnd(32, '0'), 'hex'), bits });
const DEFAULTS = defaultConfig(PATHS);
const [LISTENER] = DEFAULTS.socks;

const EXPECTED = {
  router: {
    sam: { kind: 'tcp', host: '192.0.2.1', port: 7656 },
    allow_remote: true,
    udp: { kind: 'port', port: 7655 },
    user: 'sam',
    password_file: '/p',
    directory: '/d',
  },
  identity: { key_file: '/i' },
  identities: {
    mail: {
      key_file: '/m',
      tunnels: {
        inbound: { length: 1, quantity: 2 },
        outbound: { length: 4, quantity: 5 },
        options: { 'i2cp.leaseSetEncType': '4' },
      },
    },
  },
  tunnels: {
    inbound: { length: 0, quantity: 1 },
    outbound: { length: 2, quantity: 4 },
    options: { 'i2cp.leaseSetEncType': '4,0' },
  },
  vpn: {
    enabled: false,
    interface: 'vpn9',
    mtu: 1400,
    offload: false,
    big_packets: false,
    networks: [prefix('fd9876543210', 48)],
    flows: false,
    dns: 'peers',
    keep_unreachable: false,
    queue: { packets: 7, bytes: 65_536, age: 250 },
  },
  peer: [
    {
      name: 'Alice',
      destination: { kind: 'b32', b32: ALICE },
      connect: 'demand',
      compat: 'onioncat4',
      inbound: [{ kind: 'b32', b32: BOB }],
      routes: [prefix('fd123456789a', 48)],
      allow: [{ kind: 'tcp', first: 22, last: 22 }],
    },
  ],
  names: { 'forum.i2p': { kind: 'b32', b32: BOB } },
  lookup: { known: 3_600_000, unknown: 0 },
  firewall: { enabled: false, default: 'allow' },
  socks: [
    {
      ...LISTENER,
      listen: { kind: 'tcp', host: '0.0.0.0', port: 1 },
      open: true,
      identity: { kind: 'isolated' },
      isolate: ['client', 'port'],
      ahead: 3,
      tunnels: {
        inbound: { length: 5, quantity: 6 },
        outbound: { length: 6, quantity: 7 },
        options: { 'i2cp.leaseSetEncType': '6,4' },
      },
      prefer_no_auth: true,
      clients: {
        allow: [{ bytes: Buffer.from([192, 0, 2, 0]), bits: 24 }],
        deny: [{ bytes: Buffer.from([192, 0, 2, 9]), bits: 32 }],
      },
      destinations: { allow: [{ kind: 'below', name: 'forum.i2p' }], deny: [{ kind: 'name', name: 'www.forum.i2p' }] },
      ports: { allow: [{ first: 8000, last: 8999 }], deny: [{ first: 8080, last: 8080 }] },
      max_clients: 9,
      max_clients_per_address: 8,
      udp: false,
      udp_associations: 7,
      udp_rate: 6,
      udp_queue: 32_768,
      udp_source: 'name',
      handshake_timeout: 90_000,
      connect_timeout: 10_000,
      idle_timeout: 0,
      resolve: false,
      bind: 'off',
      bind_timeout: 300_000,
      http_connect: true,
      extended_errors: true,
    },
    {
      ...LISTENER,
      listen: { kind: 'unix', path: '/s' },
      users: [{ name: 'carol', hash: parsePasswordHash(PASSWORD_HASH) }],
      mode: 0o600,
      owner: 'dave',
      group: 'staff',
    },
  ],
  control: { socket: '/x', mode: 0o620 },
  privileges: { user: 'nobody' },
  log: { level: 'debug' },
  limits: {
    accepts: 1,
    streams: 2,
    dials: 3,
    associations: 4,
    datagram_sessions: 5,
    isolated_sessions: 6,
    isolated_idle: 7_200_000,
    isolated_at_limit: 'refuse',
  },
};

/** Names of the tables and keys that lead to each key; tables whose names are the user's own are left out. */
const KEYS = keysOf(configSchema(PATHS));

function keysOf(schema: z.core.$ZodType): ReadonlyArray<readonly string[]> {
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) return keysOf(schema.unwrap());
  if (schema instanceof z.ZodRecord) return keysOf(schema.valueType);
  if (schema instanceof z.ZodArray) return keysOf(schema.element);
  if (!(schema instanceof z.ZodObject)) return [[]];
  return Object.entries(schema.shape).flatMap(([name, inner]) => keysOf(inner).map((below) => [name, ...below]));
}

/** All values of the key, of which there is one in each table of a list. */
function valuesOf(found: unknown, [name, ...below]: readonly string[]): readonly unknown[] {
  if (name === undefined) return [found];
  if (Array.isArray(found)) return found.flatMap((one) => valuesOf(one, [name, ...below]));
  if (typeof found !== 'object' || found === null) return [];
  const members = new Map<string, unknown>(Object.entries(found));
  if (members.has(name)) return valuesOf(members.get(name), below);
  return [...members.values()].flatMap((one) => valuesOf(one, [name, ...below]));
}

test('every key arrives in the config, in the unit of the program, and changes nothing else', () => {
  const decoded = decodeConfig(TEXT, PATHS);
  assert.ok(decoded.kind === 'config', JSON.stringify(decoded));
  assert.deepEqual(decoded.config, EXPECTED);
  assert.ok(isSame(decoded.config, EXPECTED), 'and hashes are the same ones');
});

test('no key is left out of that, and each differs from its default there', () => {
  assert.ok(KEYS.length > 80);
  for (const key of KEYS) {
    const byDefault = valuesOf(DEFAULTS, key);
    const given = valuesOf(EXPECTED, key);
    assert.ok(
      given.some((one) => one !== undefined && !byDefault.some((other) => isSame(one, other))),
      key.join('.'),
    );
  }
});

test('every key is read, by a rule between keys or by the program', () => {
  const text = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !MAKERS.includes(file))
    .map((file) => readFileSync(join(SOURCE, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*|'[^'\n]*'/g, ''))
    .join('\n');
  assert.deepEqual(
    KEYS.flatMap((key) => key.slice(-1)).filter((name) => !new RegExp(`\\b${name}\\b`).test(text)),
    [],
  );
});
