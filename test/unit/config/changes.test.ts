import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configChanges } from '../../../src/config/changes.ts';
import { decodeConfig } from '../../../src/config/decode.ts';
import type { Config } from '../../../src/config/schema.ts';
import { SYSTEM_PATHS } from '../../../src/io/paths.ts';
import { formatPasswordHash } from '../../../src/wire/socks/password-hash.ts';

function config(toml: string): Config {
  const decoded = decodeConfig(toml, SYSTEM_PATHS);
  return decoded.kind === 'config' ? decoded.config : assert.fail(JSON.stringify(decoded));
}

const ALICE = `[[peer]]\nname = "alice"\ndestination = "${'a'.repeat(51)}q.b32.i2p"\n`;
const user = (letter: number) =>
  `[[socks]]\nusers = ["ann:${formatPasswordHash({ salt: Buffer.alloc(16, 1), key: Buffer.alloc(32, letter) })}"]\n`;

for (const [what, before, after, live, needRestart] of [
  ['nothing', ALICE, ALICE, [], []],
  ['a default that is written down', '', '[vpn]\nmtu = 1500\n[log]\nlevel = "info"\n', [], []],
  ['a peer that comes', '', ALICE, ['peer'], []],
  ['a peer that goes', ALICE, '', ['peer'], []],
  ['rules of a peer', ALICE, `${ALICE}allow = ["icmp"]\n`, ['peer'], []],
  ['a network behind a peer', ALICE, `${ALICE}routes = ["fd12::/32"]\n`, ['peer'], []],
  [
    'all that is live',
    '',
    `[firewall]\ndefault = "allow"\n[log]\nlevel = "debug"\n`,
    ['firewall.default', 'log.level'],
    [],
  ],
  ['what is not, deep inside', '', '[tunnels]\ninbound = { length = 1 }\n', [], ['tunnels.inbound.length']],
  ['both', '', `[vpn]\nmtu = 1400\n${ALICE}`, ['peer'], ['vpn.mtu']],
  ['a listener', '', '[[socks]]\nlisten = "127.0.0.1:9"\n', [], ['socks']],
  ['a password, which looks like every other one', user(1), user(2), [], ['socks']],
  ['no password', user(1), user(1), [], []],
  ['a name of our own', '', `[names]\n"a.i2p" = "${'a'.repeat(51)}q.b32.i2p"\n`, [], ['names']],
] as const) {
  test(`a change of ${what}`, () => {
    const changes = configChanges(config(before), config(after), SYSTEM_PATHS);
    assert.deepEqual(changes, { live, needRestart });
  });
}
