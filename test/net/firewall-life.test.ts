/** The rules over time: before the interface, after it, when a gateway is killed, and when somebody takes them away. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { systemClock } from '../../src/io/clock.ts';
import { NftFirewall } from '../../src/io/firewall-nft.ts';
import { usualSearchPath } from '../../src/io/router.ts';
import { GateError } from '../../src/kit/errors.ts';
import { silentLogger } from '../../src/kit/log.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import { guarded } from './firewall-kit.ts';
import { declareScenarios } from './namespace.ts';
import { interfaceExists, until } from './tun-kit.ts';

const PEERS = [{ name: 'alice', allow: ['tcp/22'] }];
/** A table like one that a gateway left behind when it was killed, and one of somebody else. */
const LEFT_AND_FOREIGN = [
  'nft add table ip6 garligate',
  'nft add chain ip6 garligate old',
  'nft add table ip6 foreign',
  'nft add chain ip6 foreign input',
].join('; ');

function nft(...args: readonly string[]): string {
  return execFileSync('nft', args, { encoding: 'utf8' });
}

function tables(): readonly string[] {
  return nft('list', 'tables')
    .trim()
    .split('\n')
    .filter((line) => line !== '');
}

await declareScenarios(import.meta.filename, {
  'rules from before are replaced, those of others stay, and at the end ours go': {
    prepare: LEFT_AND_FOREIGN,
    run: async () => {
      await guarded(PEERS, async () => {
        const rules = nft('list', 'table', 'ip6', 'garligate');
        assert.match(rules, /iifname "garli0" goto from_peers/);
        assert.doesNotMatch(rules, /chain old/);
      });
      assert.deepEqual(tables(), ['table ip6 foreign']);
      assert.match(nft('list', 'ruleset'), /chain input/);
    },
  },
  'a gateway that is killed leaves its rules standing': {
    run: () =>
      guarded(PEERS, async () => {
        process.kill(process.pid, 'SIGKILL');
      }),
    afterwards: (namespace, status) => {
      assert.equal(status, 'SIGKILL');
      const rules = namespace.run('nft', 'list', 'table', 'ip6', 'garligate');
      assert.match(rules, /iifname "garli0" goto from_peers/);
      assert.match(rules, /ip6 daddr fd60:db4d:ddb5::\/48 counter name "escape" drop/);
    },
  },
  'with the firewall off what a killed gateway left behind goes, and nothing comes': {
    prepare: LEFT_AND_FOREIGN,
    run: () =>
      guarded(
        PEERS,
        async ({ firewall }) => {
          assert.equal(firewall, undefined);
          assert.deepEqual(tables(), ['table ip6 foreign']);
        },
        '[firewall]\nenabled = false',
      ),
  },
  'rules that somebody takes away or changes are put back within seconds, and counted': {
    run: () =>
      guarded(PEERS, async ({ firewall }) => {
        assert.ok(firewall !== undefined);
        const whole = nft('--stateless', 'list', 'table', 'ip6', 'garligate');
        const holds = () => {
          try {
            return nft('--stateless', 'list', 'table', 'ip6', 'garligate') === whole;
          } catch {
            return false;
          }
        };
        // What others do elsewhere is none of our business.
        nft('add', 'table', 'ip6', 'foreign');
        const changes = [
          ['flush', 'ruleset'],
          ['delete', 'table', 'ip6', 'garligate'],
          ['insert', 'rule', 'ip6', 'garligate', 'from_peers', 'accept'],
          ['flush', 'chain', 'ip6', 'garligate', 'from_peers'],
          ['add', 'element', 'ip6', 'garligate', 'own', '{ fd60:db4d:ddb5::1 }'],
          ['flush', 'map', 'ip6', 'garligate', 'peers'],
        ];
        for (const [at, change] of changes.entries()) {
          nft(...change);
          assert.equal(holds(), false, change.join(' '));
          await until(holds, `rules after ${change.join(' ')}`);
          await until(() => firewall.restored.count === at + 1, 'the count');
        }
        assert.equal(firewall.state().kind, 'on');
        nft('add', 'table', 'ip6', 'foreign');
        assert.ok((firewall.restored.lastMs ?? 0) > 0);
      }),
  },
  'rules that are replaced while the firewall ends go with it': {
    run: async () => {
      const clock = new FakeClock();
      const rules = 'table ip6 garligate {}';
      const firewall = new NftFirewall({ rules, clock, log: silentLogger, searchPath: usualSearchPath() });
      await firewall.start();
      const replaced = firewall.replace(rules);
      // By now nft is loading them.
      await clock.settle();
      await firewall.stop();
      assert.deepEqual(tables(), []);
      await replaced;
      await assert.rejects(firewall.replace(rules), { code: 'shutdown' });
      assert.equal(clock.pending, 0);
      assert.deepEqual(tables(), []);
    },
  },
  'without nftables nothing starts, and the words say what to do': {
    run: async () => {
      const firewall = new NftFirewall({ rules: '', clock: systemClock, log: silentLogger, searchPath: '/nowhere' });
      await assert.rejects(
        firewall.start(),
        (error) =>
          error instanceof GateError &&
          error.code === 'firewall.no-nftables' &&
          /install nftables.*enabled = false/.test(error.message),
      );
      await firewall.stop();
    },
  },
  'rules that nft refuses keep the interface down': {
    // In a mount namespace that nobody else sees.
    prepare:
      'mount -t tmpfs none /usr/sbin; printf "#!/bin/sh\\necho no such luck >&2; exit 1\\n" > /usr/sbin/nft; chmod 755 /usr/sbin/nft',
    run: async () => {
      await assert.rejects(
        guarded(PEERS, async () => assert.fail('it came up')),
        (error) => error instanceof GateError && error.code === 'firewall.nft' && /no such luck/.test(error.message),
      );
      assert.equal(interfaceExists('garli0'), false);
    },
  },
  'a second gateway is refused before it touches the rules of the first': {
    run: () =>
      guarded(PEERS, async ({ firewall }) => {
        const second = guarded(PEERS, async () => assert.fail('it came up'), '[vpn]\ninterface = "garli1"');
        await assert.rejects(second, (error) => error instanceof GateError && error.code === 'tun.route-taken');
        assert.match(nft('list', 'table', 'ip6', 'garligate'), /iifname "garli0" goto from_peers/);
        assert.equal(firewall?.restored.count, 0);
      }),
  },
});
