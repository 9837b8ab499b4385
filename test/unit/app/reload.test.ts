import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { configuredPeers } from '../../../src/app/peers.ts';
import type { PrivilegePlan } from '../../../src/app/privileges.ts';
import { Reloader } from '../../../src/app/reload.ts';
import { decodeConfig } from '../../../src/config/decode.ts';
import type { Config } from '../../../src/config/schema.ts';
import type { FirewallPort } from '../../../src/core/ports.ts';
import { SYSTEM_PATHS } from '../../../src/io/paths.ts';
import { GateError } from '../../../src/kit/errors.ts';
import { silentLogger } from '../../../src/kit/log.ts';
import { formatAddress } from '../../../src/wire/i2p/address.ts';
import { formatAllowRule } from '../../../src/wire/packet/allow-rule.ts';
import { FakeTun } from '../../helpers/fake-tun.ts';
import { own } from '../core/support.ts';

const ME = own(1);

function config(toml: string): Config {
  const decoded = decodeConfig(toml, SYSTEM_PATHS);
  return decoded.kind === 'config' ? decoded.config : assert.fail(JSON.stringify(decoded));
}

function peerText(name: string, more = ''): string {
  return `[[peer]]\nname = "${name}"\ndestination = "${(name[0] ?? 'a').repeat(51)}q.b32.i2p"\n${more}`;
}

const CAT = peerText('cat', 'compat = "onioncat4"\n');

/** By a gateway without an OnionCat. */
const KEPT: PrivilegePlan = { kind: 'stay', keep: ['CAP_NET_ADMIN'] };

/** What was done, in order; `refuse` names the step that fails. */
function setting(toml: string, refuse?: 'rules' | 'routes', privileges: PrivilegePlan = KEPT) {
  const file = { config: config(toml), reads: 0, readable: Promise.resolve() };
  const peers = configuredPeers(file.config, ME.addresses);
  const done: string[] = [];
  const tun = new FakeTun();
  const route = tun.route.bind(tun);
  tun.route = (routes) => {
    done.push('routes');
    if (refuse === 'routes') throw new GateError('local-io', 'tun.route-taken', 'taken');
    route(routes);
  };
  const firewall: FirewallPort & { rules: string } = {
    rules: 'as at the start',
    state: () => ({ kind: 'on' }),
    restored: { count: 0, lastMs: undefined },
    drops: async () => ({}),
    replace: async (rules) => {
      done.push('rules');
      if (refuse === 'rules') throw new GateError('local-io', 'firewall.failed', 'no');
      firewall.rules = rules;
    },
  };
  const levels: string[] = [];
  const answers: { on: readonly number[] } = { on: [] };
  const reloader = new Reloader({
    config: file.config,
    paths: SYSTEM_PATHS,
    privileges,
    read: async () => {
      file.reads += 1;
      const found = file.config;
      await file.readable;
      return found;
    },
    gateway: {
      own: ME,
      peers,
      namePorts: () => answers.on,
      changePeers: async (plan) => {
        done.push('peers');
        plan.commit();
      },
    },
    tun,
    firewall,
    log: { ...silentLogger, setLevel: (level) => void levels.push(level) },
  });
  const names = () => peers.list().map(({ name }) => name);
  return { file, reloader, done, tun, firewall, levels, names, peers, answers };
}

test('takes over who comes, who goes and who may do what, with rules and routes before the peers', async () => {
  const { file, reloader, done, tun, firewall, levels, names, peers } = setting(
    `${peerText('alice')}${peerText('bob')}`,
  );
  const allow = 'allow = ["icmp"]\n';
  file.config = config(
    `[log]\nlevel = "debug"\n${peerText('alice', allow)}${peerText('carol', 'routes = ["fd12::/32"]\n')}`,
  );
  const report = await reloader.reload();
  assert.deepEqual(report, {
    schema: 1,
    keys: ['peer', 'log.level'],
    added: ['carol'],
    removed: ['bob'],
    regulated: ['alice'],
  });
  assert.deepEqual([done, names(), levels], [['rules', 'routes', 'peers'], ['alice', 'carol'], ['debug']]);
  assert.equal(tun.routes?.networks.length, 1);
  const [alice] = peers.list();
  assert.ok(alice !== undefined && firewall.rules.includes(formatAddress(alice.addresses.oc)));
  assert.deepEqual(alice.allow, [{ kind: 'icmp' }]);
});

test('a file that has not changed changes nothing, and counts from the last one that was taken over', async () => {
  const { file, reloader, done } = setting(peerText('alice'));
  assert.deepEqual((await reloader.reload()).keys, []);
  assert.deepEqual(done, []);
  file.config = config('');
  assert.deepEqual((await reloader.reload()).removed, ['alice']);
  assert.deepEqual(await reloader.reload(), { schema: 1, keys: [], added: [], removed: [], regulated: [] });
});

for (const [what, toml, code] of [
  ['a key that needs a restart', `[vpn]\nmtu = 1400\n${peerText('bob')}`, 'reload.needs-restart'],
  ['rights that were not kept', peerText('bob', 'compat = "onioncat4"\n'), 'reload.needs-rights'],
] as const) {
  test(`${what}: nothing is changed`, async () => {
    const { file, reloader, done, names } = setting(peerText('alice'));
    file.config = config(toml);
    await assert.rejects(reloader.reload(), { code });
    assert.deepEqual([done, names()], [[], ['alice']]);
  });
}

for (const [what, toml, privileges] of [
  ['stayed root', '', { kind: 'stay-root' }],
  ['was started with such a peer', CAT, { kind: 'stay', keep: ['CAP_NET_ADMIN', 'CAP_NET_BIND_SERVICE'] }],
] as const) {
  test(`an OnionCat may come, go and come again with a gateway that ${what}`, async () => {
    const { file, reloader, names } = setting(toml, undefined, privileges);
    for (const wanted of ['', CAT, '', CAT]) {
      file.config = config(wanted);
      await reloader.reload();
      assert.deepEqual(names(), wanted === '' ? [] : ['cat']);
    }
  });
}

for (const refuse of ['rules', 'routes'] as const) {
  test(`${refuse} that cannot be had: everything is as it was`, async () => {
    const { file, reloader, firewall, names } = setting(peerText('alice'), refuse);
    const before = firewall.rules;
    file.config = config(peerText('bob'));
    await assert.rejects(reloader.reload());
    assert.deepEqual(names(), ['alice']);
    const has = (letter: string) =>
      firewall.rules.includes(
        formatAddress(configuredPeers(config(peerText(letter)), ME.addresses).list()[0]?.addresses.oc ?? assert.fail()),
      );
    if (refuse === 'rules') assert.equal(firewall.rules, before);
    else assert.deepEqual([has('alice'), has('bob')], [true, false]);
    // And the next one finds out again.
    await assert.rejects(reloader.reload());
  });
}

test('one at a time, and whoever asks meanwhile shares the next, which reads the file as it is then', async () => {
  const { file, reloader, done } = setting('');
  file.config = config(peerText('alice'));
  let release = () => {};
  file.readable = new Promise((resolve) => {
    release = resolve;
  });
  const one = reloader.reload();
  await turn();
  assert.equal(file.reads, 1);
  file.config = config(peerText('bob'));
  const others = Array.from({ length: 1_000 }, () => reloader.reload());
  release();
  assert.deepEqual((await one).added, ['alice']);
  for (const { added, removed } of await Promise.all(others)) assert.deepEqual([added, removed], [['bob'], ['alice']]);
  assert.equal(file.reads, 2);
  assert.deepEqual(done, ['rules', 'routes', 'peers', 'rules', 'routes', 'peers']);
  assert.deepEqual((await reloader.reload()).added, []);
  assert.equal(file.reads, 3);
});

test('told to end, it lets the running one finish, and neither those that wait nor new ones begin', async () => {
  const { file, reloader, done } = setting('');
  file.config = config(peerText('alice'));
  let release = () => {};
  file.readable = new Promise((resolve) => {
    release = resolve;
  });
  const running = reloader.reload();
  await turn();
  const waiting = reloader.reload();
  const stopped = reloader.stop();
  release();
  await assert.rejects(waiting, { kind: 'shutdown' });
  await stopped;
  assert.deepEqual(done, ['rules', 'routes', 'peers']);
  assert.deepEqual((await running).added, ['alice']);
  await assert.rejects(reloader.reload(), { kind: 'shutdown' });
  assert.equal(file.reads, 1);
});

test('rules of an OnionCat follow the ports on which it is answered, and a reload leaves them as they are', async () => {
  const { file, reloader, done, firewall, answers, peers } = setting(CAT, undefined, { kind: 'stay-root' });
  const rules = () => peers.list().map(({ allow }) => allow.map(formatAllowRule));
  answers.on = [53, 8060];
  await reloader.followNamePorts();
  assert.deepEqual(rules(), [['udp/53', 'udp/8060']]);
  assert.match(firewall.rules, /udp dport \{? ?53/);
  await reloader.followNamePorts();
  assert.deepEqual(done, ['rules', 'routes', 'peers'], 'nothing is done where nothing has changed');

  file.config = config(`${CAT}${peerText('alice')}`);
  assert.deepEqual((await reloader.reload()).regulated, []);
  answers.on = [8060];
  await reloader.followNamePorts();
  assert.deepEqual(rules(), [['udp/8060'], []]);
  assert.doesNotMatch(firewall.rules, /dport \{? ?53/);

  await reloader.stop();
  answers.on = [];
  await reloader.followNamePorts();
  assert.equal(done.length, 9);
});

test('rules that cannot follow leave everything as it was, and the gateway goes on', async () => {
  const { reloader, answers, peers, names } = setting(CAT, 'rules');
  answers.on = [53];
  await reloader.followNamePorts();
  assert.deepEqual([names(), peers.list()[0]?.allow], [['cat'], []]);
});
