/** The interface as the kernel sees it: addresses, routes, settings, and what is left after the end. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { removeUnreachableRoute } from '../../src/io/tun-linux.ts';
import { GateError } from '../../src/kit/errors.ts';
import { PREFIX_TEXT } from '../../src/wire/i2p/address.ts';
import { declareScenarios, NOBODY } from './namespace.ts';
import {
  addressesOn,
  describeRoutes,
  interfaceExists,
  ip,
  NAME,
  NODE_FOR_ALL,
  OURS,
  OURS_TEXT,
  OURS_TOO_TEXT,
  open,
  PEER_TEXT,
  THROUGH_TUN,
  UNREACHABLE,
  udpPacketsOf,
  udpSocket,
  until,
} from './tun-kit.ts';

const MAKE_PERSISTENT = `ip tuntap add mode tun user ${NOBODY} name ${NAME}`;
const PREPARE_WHOLLY = [
  NODE_FOR_ALL,
  MAKE_PERSISTENT,
  `ip link set ${NAME} addrgenmode none`,
  `ip link set ${NAME} mtu 1500 up`,
  `ip -6 addr add ${OURS_TEXT}/128 dev ${NAME} nodad`,
  `ip -6 addr add ${OURS_TOO_TEXT}/128 dev ${NAME} nodad`,
  `ip -6 route add ${PREFIX_TEXT} dev ${NAME} src ${OURS_TEXT}`,
  `ip -6 route add unreachable ${PREFIX_TEXT} metric 4294967295`,
].join('; ');

function setting(name: string): string {
  return readFileSync(`/proc/sys/net/ipv6/conf/${NAME}/${name}`, 'utf8').trim();
}

function routeToPeer(): string {
  return ip('-6', 'route', 'get', PEER_TEXT);
}

function stateOfLink(): string {
  return ip('-6', '-d', 'link', 'show', 'dev', NAME).replaceAll(/state \w+|<.*?>|qdisc \S+/g, '') + describeFlags();
}

function describeFlags(): string {
  return `up=${/<[^>]*\bUP\b/.test(ip('link', 'show', 'dev', NAME))}`;
}

await declareScenarios(import.meta.filename, {
  'an interface comes up with its addresses and routes, and goes without a trace but one': {
    run: async () => {
      const tun = open({ mtu: 1400 });
      assert.deepEqual([tun.name, tun.mtu], [NAME, 1400]);

      const addresses = addressesOn().map(({ local, prefixlen, scope }) => `${local}/${prefixlen} ${scope}`);
      assert.deepEqual(addresses.toSorted(), [`${OURS_TOO_TEXT}/128 global`, `${OURS_TEXT}/128 global`]);
      assert.ok(addressesOn().every((entry) => entry['tentative'] === undefined && entry['dadfailed'] === undefined));
      assert.deepEqual(describeRoutes(), [THROUGH_TUN, UNREACHABLE].toSorted());
      assert.match(ip('-d', 'link', 'show', 'dev', NAME), /<.*\bUP\b.*> mtu 1400 .*qlen 2000[\s\S]*addrgenmode none/);
      assert.deepEqual(['accept_ra', 'autoconf', 'disable_ipv6'].map(setting), ['0', '0', '0']);
      assert.match(routeToPeer(), new RegExp(`dev ${NAME} .*src ${OURS_TEXT}`));

      await tun.close();
      assert.equal(interfaceExists(), false);
      assert.deepEqual(describeRoutes(), [UNREACHABLE]);
      assert.throws(routeToPeer, /No route to host/);

      assert.equal(removeUnreachableRoute(), true);
      assert.deepEqual(describeRoutes(), []);
      assert.equal(removeUnreachableRoute(), false);
    },
  },
  'the unreachable route goes when it is not to be kept, even one from before': {
    run: async () => {
      await open().close();
      assert.deepEqual(describeRoutes(), [UNREACHABLE]);
      const tun = open({ keepUnreachable: false });
      assert.deepEqual(describeRoutes(), [THROUGH_TUN, UNREACHABLE].toSorted());
      await tun.close();
      assert.deepEqual(describeRoutes(), []);
    },
  },
  'the unreachable route takes over when the interface is deleted': {
    run: async () => {
      const tun = open();
      ip('link', 'del', NAME);
      assert.deepEqual(describeRoutes(), [UNREACHABLE]);
      assert.throws(routeToPeer, /No route to host/);
      await tun.close();
    },
  },
  'a gateway that is killed leaves the unreachable route and no interface': {
    run: () => {
      open();
      process.kill(process.pid, 'SIGKILL');
    },
    afterwards: (namespace, status) => {
      assert.equal(status, 'SIGKILL');
      assert.equal(namespace.run('ip', '-6', '-o', 'link', 'show', 'type', 'tun'), '');
      assert.match(
        namespace.run('ip', '-6', 'route', 'show', PREFIX_TEXT),
        /^unreachable .* metric 4294967295[^\n]*\n$/,
      );
    },
  },
  'IPv6 that is off for new interfaces is switched on for ours': {
    prepare: 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6',
    run: async () => {
      const tun = open();
      assert.equal(setting('disable_ipv6'), '0');
      assert.equal(addressesOn().length, 2);
      await tun.close();
    },
  },
  'the unreachable route can be added while loopback is down': {
    prepare: 'ip link set lo down',
    run: async () => {
      const tun = open();
      assert.deepEqual(describeRoutes(), [THROUGH_TUN, UNREACHABLE].toSorted());
      await tun.close();
    },
  },
  'a persistent interface is taken over and given back as it was': {
    prepare: `${MAKE_PERSISTENT}; ip link set ${NAME} mtu 1300 txqueuelen 77`,
    run: async () => {
      const before = stateOfLink();
      const tun = open();
      assert.notEqual(stateOfLink(), before);
      assert.deepEqual(describeRoutes(), [THROUGH_TUN, UNREACHABLE].toSorted());
      await tun.close();
      assert.equal(stateOfLink(), before);
      assert.deepEqual(addressesOn(), []);
      assert.deepEqual(describeRoutes(), [UNREACHABLE]);
    },
  },
  'a persistent interface without a preferred source gets one, and loses it again': {
    prepare: `${MAKE_PERSISTENT}; ip link set ${NAME} up; ip -6 route add ${PREFIX_TEXT} dev ${NAME} metric 300`,
    run: async () => {
      const tun = open();
      assert.deepEqual(describeRoutes(), [THROUGH_TUN, UNREACHABLE].toSorted());
      await tun.close();
      assert.deepEqual(describeRoutes(), [`unicast ${NAME} 300 -`, UNREACHABLE].toSorted());
    },
  },
  'a failure half way leaves everything as it was': {
    // The address cannot be added: IPv6 is off and cannot be switched on.
    prepare: [
      `${MAKE_PERSISTENT}; ip link set ${NAME} mtu 1300`,
      'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6',
      'mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys',
    ].join('; '),
    run: () => {
      const before = stateOfLink();
      assert.throws(open, (error) => error instanceof GateError && error.code === 'tun.ipv6-off');
      assert.equal(stateOfLink(), before);
      assert.deepEqual(describeRoutes(), []);
      assert.throws(
        () => open({ name: 'garlitest1' }),
        (error) => error instanceof GateError && error.code === 'tun.ipv6-off',
      );
      assert.equal(interfaceExists('garlitest1'), false);
      assert.deepEqual(describeRoutes(), []);
    },
  },
  'an interface that root prepared works without any right, and stays as it is': {
    prepare: PREPARE_WHOLLY,
    unprivileged: true,
    run: async () => {
      assert.equal(process.getuid?.(), NOBODY);
      assert.match(readFileSync('/proc/self/status', 'utf8'), /^CapEff:\s+0+$/m);
      const tun = open();
      const payloads: string[] = [];
      tun.onPackets((run) => payloads.push(...udpPacketsOf(run).map((packet) => packet.toString('latin1', 48))));
      const socket = await udpSocket(OURS_TEXT);
      socket.send('without rights', 9, PEER_TEXT);
      await until(() => payloads.length > 0, 'a packet');
      assert.deepEqual(payloads, ['without rights']);
      socket.close();
      await tun.close();
      assert.equal(addressesOn().length, 2);
      assert.deepEqual(describeRoutes(), [THROUGH_TUN, UNREACHABLE].toSorted());
      await open().close();
      await assert.rejects(open({ keepUnreachable: false }).close(), { kind: 'permission', code: 'tun.permission' });
    },
  },
  'an interface that root prepared by halves is refused without rights, with the step that is missing': {
    prepare: PREPARE_WHOLLY.replace(`ip -6 addr add ${OURS_TOO_TEXT}/128 dev ${NAME} nodad`, ':'),
    unprivileged: true,
    run: async () => {
      assert.throws(open, {
        kind: 'permission',
        code: 'tun.permission',
        message: /setting the addresses is not allowed/,
      });
      assert.throws(() => open({ mtu: 1280 }), { kind: 'permission', message: /setting the MTU is not allowed/ });
      const tun = open({ addresses: [OURS] });
      await tun.close();
      assert.throws(removeUnreachableRoute, { kind: 'permission', code: 'tun.unreachable-route' });
    },
  },
});
