/** Everything that can keep us from having an interface: what it is called and what the person is told to do. */
import assert from 'node:assert/strict';
import { openTun } from '../../src/io/tun-linux.ts';
import { GateError } from '../../src/kit/errors.ts';
import { PREFIX_TEXT } from '../../src/wire/i2p/address.ts';
import { declareScenarios } from './namespace.ts';
import { describeRoutes, interfaceExists, NAME, NODE_FOR_ALL, OURS, open, UNREACHABLE } from './tun-kit.ts';

type Expected = { readonly kind: string; readonly code: string; readonly message: RegExp };

function refused(expected: Expected, options: Parameters<typeof open>[0] = {}): void {
  assert.throws(
    () => open(options),
    (error) => {
      assert.ok(error instanceof GateError, String(error));
      assert.deepEqual([error.kind, error.code], [expected.kind, expected.code], error.message);
      assert.match(error.message, expected.message);
      return true;
    },
  );
}

/** Nobody is told to remove what is not ours: it may be his only way into the machine. */
const OF_ANOTHER_KIND: Expected = {
  kind: 'local-io',
  code: 'tun.name-taken',
  message: /^(?!.*\b(del|remove)).*not a TUN device of one queue.*[Cc]hoose another name/,
};

await declareScenarios(import.meta.filename, {
  'names that no kernel takes': {
    run: () => {
      const names = ['', 'a'.repeat(16), 'a/b', 'a b', 'a\tb', 'a:b', '.', '..', 'tun%d', 'grün', 'a\0b'];
      for (const name of names) {
        refused({ kind: 'config', code: 'tun.name', message: /cannot be the name of an interface: 1 to 15/ }, { name });
      }
      assert.deepEqual(describeRoutes(), []);
    },
  },
  'names at the edge of what a kernel takes': {
    run: async () => {
      for (const name of ['a', 'a'.repeat(15), 'garli.0-1_x@y', '...']) {
        const tun = open({ name });
        assert.equal(tun.name, name);
        assert.equal(interfaceExists(name), true);
        await tun.close();
      }
    },
  },
  'an MTU out of range': {
    run: async () => {
      for (const mtu of [0, 1279, 65536, -1, 1300.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        refused({ kind: 'config', code: 'tun.mtu', message: /must be from 1280 to 65535, not / }, { mtu });
      }
      await open({ mtu: 1280 }).close();
      await open({ mtu: 65535 }).close();
    },
  },
  'no address': {
    run: () => {
      assert.throws(
        () =>
          openTun({
            name: NAME,
            mtu: 1280,
            addresses: [],
            routes: { networks: [], hosts: [] },
            keepUnreachable: true,
            offload: true,
          }),
        {
          kind: 'bug',
        },
      );
    },
  },
  'no device node': {
    prepare: 'mount -t tmpfs none /dev/net',
    run: () => {
      refused({
        kind: 'local-io',
        code: 'tun.no-device',
        message: /no TUN device .*ENOENT.*modprobe tun.*container.*--device \/dev\/net\/tun/,
      });
      assert.deepEqual(describeRoutes(), []);
    },
  },
  'a device node without a driver': {
    prepare: 'mount -t tmpfs none /dev/net; mknod /dev/net/tun c 10 254',
    run: () => refused({ kind: 'local-io', code: 'tun.no-device', message: /ENODEV|ENXIO/ }),
  },
  'a device node that is something else': {
    prepare: 'mount -t tmpfs none /dev/net; touch /dev/net/tun',
    run: () => refused({ kind: 'unsupported', code: 'tun.unsupported', message: /CONFIG_TUN/ }),
  },
  'a device node that this user may not open': {
    prepare: `${NODE_FOR_ALL}; chmod 600 /dev/net/tun`,
    unprivileged: true,
    run: () => refused({ kind: 'permission', code: 'tun.permission', message: /chmod 0666 \/dev\/net\/tun/ }),
  },
  'no CAP_NET_ADMIN': {
    prepare: NODE_FOR_ALL,
    unprivileged: true,
    run: () => {
      refused({ kind: 'permission', code: 'tun.permission', message: /CAP_NET_ADMIN.*ip tuntap add mode tun user/ });
    },
  },
  'an interface that root prepared for somebody else': {
    prepare: `${NODE_FOR_ALL}; ip tuntap add mode tun user 12345 name ${NAME}`,
    unprivileged: true,
    run: () => refused({ kind: 'permission', code: 'tun.permission', message: /CAP_NET_ADMIN/ }),
  },
  'an interface that is in use': {
    run: async () => {
      const tun = open();
      refused({ kind: 'local-io', code: 'tun.name-taken', message: /in use by another process/ });
      assert.equal(interfaceExists(), true);
      await tun.close();
      assert.deepEqual(describeRoutes(), [UNREACHABLE]);
    },
  },
  'an interface of another kind': {
    prepare: `ip link add ${NAME} type veth peer name other`,
    run: () => {
      for (const name of [NAME, 'lo']) refused(OF_ANOTHER_KIND, { name });
      assert.equal(interfaceExists(), true);
      assert.deepEqual(describeRoutes(), []);
    },
  },
  'a TAP instead of a TUN': {
    prepare: `ip tuntap add mode tap name ${NAME}`,
    run: () => refused(OF_ANOTHER_KIND),
  },
  'a /48 that goes elsewhere already': {
    prepare: `ip link add other type veth peer name another; ip link set other up; ip -6 route add ${PREFIX_TEXT} dev other`,
    run: () => {
      const before = describeRoutes();
      refused({ kind: 'local-io', code: 'tun.route-taken', message: /Another route to fd60.*ip -6 route show/ });
      assert.deepEqual(describeRoutes(), before);
      assert.equal(interfaceExists(), false);
    },
  },
  'an unreachable route that stands in the way': {
    prepare: `ip -6 route add unreachable ${PREFIX_TEXT} metric 1000`,
    run: () => refused({ kind: 'local-io', code: 'tun.route-taken', message: /metric 1000/ }),
  },
  'an unreachable route that does not stand in the way': {
    prepare: `ip -6 route add unreachable ${PREFIX_TEXT} metric 5000`,
    run: () => open().close(),
  },
  'two interfaces of ours': {
    run: async () => {
      const tun = open();
      refused(
        { kind: 'local-io', code: 'tun.route-taken', message: /another GarliCat or gateway/ },
        { name: 'second' },
      );
      assert.equal(interfaceExists('second'), false);
      await tun.close();
    },
  },
  'IPv6 that is off and cannot be switched on': {
    prepare: [
      'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6',
      'mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys',
    ].join('; '),
    run: () => {
      refused(
        { kind: 'local-io', code: 'tun.ipv6-off', message: /switched off.*disable_ipv6=0/ },
        { addresses: [OURS] },
      );
      assert.equal(interfaceExists(), false);
      assert.deepEqual(describeRoutes(), []);
    },
  },
});
