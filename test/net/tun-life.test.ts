/** How an interface ends: closed at any moment, deleted by somebody, or together with its worker or its process. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { TunPort } from '../../src/core/ports.ts';
import { loadNative, type NativeAddon, OFFLOAD, type Offload } from '../../src/io/native.ts';
import { TunRoutes } from '../../src/io/tun-routes.ts';
import { GateError } from '../../src/kit/errors.ts';
import { ADDRESS_LENGTH, PREFIX, PREFIX_TEXT } from '../../src/wire/i2p/address.ts';
import { declareScenarios } from './namespace.ts';
import {
  describeRoutes,
  interfaceExists,
  ip,
  NAME,
  OURS,
  OURS_TEXT,
  OURS_TOO_TEXT,
  open,
  PEER,
  PEER_TEXT,
  THROUGH_TUN,
  UNREACHABLE,
  udpPacket,
  udpPacketsOf,
  udpSocket,
  until,
} from './tun-kit.ts';

/** Holds an interface, and a route into it, until it is terminated. Plain, since tsx does not reach into workers. */
const WORKER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const addon = require(workerData.addon);
  const { handle, index } = addon.open(workerData.name, workerData.offload);
  addon.setLinkAddressGeneration(index, 1);
  addon.setLinkUp(index, 1);
  addon.addRoute(Buffer.from(workerData.prefix), 48, index, 1024, undefined);
  const drain = () => addon.drain(handle, () => {}) && setImmediate(drain);
  addon.start(handle, drain, () => {});
  parentPort.postMessage('open');
`;
const ADDON = fileURLToPath(new URL('../../build/native/garligate.node', import.meta.url));

async function startWorker(offload: Offload): Promise<Worker> {
  const prefix = Buffer.concat([PREFIX], ADDRESS_LENGTH);
  const worker = new Worker(WORKER, {
    eval: true,
    execArgv: [],
    workerData: { addon: ADDON, name: NAME, offload, prefix },
  });
  await once(worker, 'message');
  return worker;
}

/** The kernel shows addresses in the order in which they came. */
function inOrder(text: string): readonly string[] {
  return text.split('\n').sort();
}

/** The kernel makes local routes a moment later, and tells of them too. */
async function untilQuiet(tun: TunPort): Promise<void> {
  while (tun.pollChanges()) await new Promise((resolve) => setTimeout(resolve, 50));
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function mayOpenNothing(): boolean {
  try {
    readFileSync('/proc/self/limits');
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EMFILE';
  }
}

await declareScenarios(import.meta.filename, {
  'closing twice is closing once': {
    run: async () => {
      const tun = open();
      tun.onPackets(() => {});
      const first = tun.close();
      assert.equal(tun.close(), first);
      await first;
      assert.equal(interfaceExists(), false);
      await tun.close();
    },
  },
  'closing inside a callback is the last callback': {
    run: async () => {
      const [tun, socket] = [open(), await udpSocket(OURS_TEXT)];
      let calls = 0;
      let kept: Buffer | undefined;
      const closed = new Promise<void>((resolve, reject) => {
        tun.onPackets((run) => {
          if (udpPacketsOf(run).length === 0) return;
          calls += 1;
          tun.close().then(resolve, reject);
          assert.equal(interfaceExists(), false);
          // The memory of the batch outlives the device.
          kept = run;
          assert.equal(udpPacketsOf(kept)[0]?.toString('latin1', 48), 'packet 0');
        });
      });
      for (let count = 0; count < 100; count += 1) socket.send(`packet ${count}`, 9, PEER_TEXT);
      await closed;
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(calls, 1);
      assert.equal(udpPacketsOf(kept ?? assert.fail())[0]?.toString('latin1', 48), 'packet 0');
      socket.close();
    },
  },
  'opening and closing again and again leaves nothing open': {
    run: async () => {
      const count = (what: string) => readdirSync(`/proc/self/${what}`).length;
      await open().close();
      const before = [count('fd'), count('task')];
      for (let turn = 0; turn < 30; turn += 1) {
        const tun = open();
        tun.onPackets(() => {});
        tun.write(udpPacket(PEER, OURS, [1, 2], Buffer.from('x')));
        await tun.close();
      }
      assert.deepEqual([count('fd'), count('task')], before);
    },
  },
  'a deleted interface is reported once and nothing spins': {
    run: async () => {
      const tun = open();
      const losses: GateError[] = [];
      tun.onPackets(() => {});
      tun.onLost((error) => losses.push(error));
      ip('link', 'del', NAME);
      await until(() => losses.length > 0, 'the loss');
      const before = cpuMs();
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.ok(cpuMs() - before < 100, 'idle after the loss');
      assert.equal(losses.length, 1);
      assert.ok(losses[0] instanceof GateError);
      assert.deepEqual([losses[0].kind, losses[0].code], ['local-io', 'tun.lost']);
      assert.match(
        losses[0].message,
        new RegExp(`interface ${NAME} can no longer be read .*deleted.*Restart garligate`),
      );
      await tun.close();
      assert.deepEqual(describeRoutes(), [UNREACHABLE]);
    },
  },
  'an interface that somebody sets down stays down, and gets everything back once it is up': {
    run: async () => {
      const tun = open();
      assert.equal(tun.state(), 'up');
      ip('link', 'set', NAME, 'down');
      assert.equal(tun.state(), 'down');
      tun.restore();
      assert.equal(tun.state(), 'down');
      ip('link', 'set', NAME, 'up');
      assert.equal(tun.state(), 'incomplete');
      tun.restore();
      assert.equal(tun.state(), 'up');
      assert.deepEqual(describeRoutes(), [THROUGH_TUN, UNREACHABLE]);
      await tun.close();
      assert.equal(tun.state(), 'down');
      assert.equal(tun.pollChanges(), false);
    },
  },
  'whatever somebody takes away is noticed, and put back as it was': {
    run: async () => {
      const network = { bytes: Buffer.from('fd120000000000000000000000000000', 'hex'), bits: 32 };
      const tun = open({ routes: { networks: [network], hosts: [PEER] } });
      const everything = () => [ip('-6', 'addr', 'show', 'dev', NAME), ip('-6', 'route', 'show')].map(inOrder);
      const before = everything();
      tun.pollChanges();
      for (const words of [
        ['addr', 'del', `${OURS_TEXT}/128`, 'dev', NAME],
        ['addr', 'del', `${OURS_TOO_TEXT}/128`, 'dev', NAME],
        ['route', 'del', PREFIX_TEXT, 'dev', NAME],
        ['route', 'del', 'unreachable', PREFIX_TEXT],
        ['route', 'del', 'fd12::/32', 'dev', NAME],
        ['route', 'del', 'unreachable', 'fd12::/32'],
        ['route', 'del', `${PEER_TEXT}/128`, 'dev', NAME],
        ['route', 'flush', 'dev', NAME],
        ['addr', 'flush', 'dev', NAME],
      ]) {
        assert.equal(tun.pollChanges(), false);
        ip('-6', ...words);
        assert.equal(tun.pollChanges(), true, words.join(' '));
        assert.equal(tun.state(), 'incomplete', words.join(' '));
        tun.restore();
        assert.equal(tun.state(), 'up', words.join(' '));
        assert.deepEqual(everything(), before);
        await untilQuiet(tun);
      }
      // What is nobody's business here.
      ip('link', 'add', 'other0', 'type', 'veth', 'peer', 'name', 'far0');
      ip('link', 'set', 'other0', 'up');
      ip('-6', 'route', 'add', '2001:db8::/32', 'dev', 'other0');
      assert.equal(tun.pollChanges(), false);
      ip('-6', 'route', 'add', `${PEER_TEXT.slice(0, 16)}1::/64`, 'dev', 'other0');
      assert.equal(tun.pollChanges(), true);
      assert.equal(tun.state(), 'diverted');
      await tun.close();
      assert.deepEqual(describeRoutes().slice(-1), [UNREACHABLE]);
    },
  },
  'a route that does not go keeps all the others as they were': {
    run: async () => {
      const tun = open();
      const index = Number(readFileSync(`/sys/class/net/${NAME}/ifindex`, 'utf8'));
      const native = loadNative();
      const network = (first: string) => ({ bytes: Buffer.from(first.padEnd(32, '0'), 'hex'), bits: 32 });
      const [one, two, three] = [network('fd11'), network('fd12'), network('fd13')];
      // No kernel can be asked to refuse this once.
      let refusals = 1;
      const removeRoute: NativeAddon['removeRoute'] = (bytes, ...rest) => {
        if (bytes.equals(two.bytes) && refusals-- > 0) throw new Error('it stays');
        native.removeRoute(bytes, ...rest);
      };
      const routes = new TunRoutes({ ...native, removeRoute }, index, [OURS, OURS]);
      const everything = () => inOrder(ip('-6', 'route', 'show'));
      routes.set({ networks: [one, two], hosts: [] });
      const before = everything();
      assert.throws(() => routes.set({ networks: [three], hosts: [PEER] }), /it stays/);
      assert.deepEqual(everything(), before);
      assert.equal(routes.stand(), true);

      routes.set({ networks: [three], hosts: [PEER] });
      assert.equal(routes.stand(), true);
      assert.doesNotMatch(ip('-6', 'route', 'show'), /fd1[12]::/);
      assert.deepEqual([...routes.leaveInterface(), ...routes.end()], []);
      await tun.close();
      assert.deepEqual(describeRoutes(), [UNREACHABLE]);
    },
  },
  'a kernel that lets nobody wait for packets ends the reading, and nothing spins': {
    run: async () => {
      const [tun, socket] = [open(), await udpSocket(OURS_TEXT)];
      const losses: GateError[] = [];
      tun.onPackets(() => {});
      tun.onLost((error) => losses.push(error));
      socket.connect(9, PEER_TEXT);
      await once(socket, 'connect');
      // poll(2) says EINVAL to more descriptors than a process may have. Those that it has stay open.
      const limit = (most: string) => `read go; prlimit --pid $PPID --nofile=${most}:`;
      const shell = spawn('sh', ['-c', `${limit('1')}; ${limit('1024')}`], { stdio: ['pipe', 'inherit', 'inherit'] });
      shell.stdin.write('go\n');
      await until(mayOpenNothing, 'the limit');
      socket.send('x');
      await until(() => losses.length > 0, 'the loss');
      const before = cpuMs();
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.ok(cpuMs() - before < 100, 'idle after the loss');
      shell.stdin.end('go\n');
      await once(shell, 'exit');
      assert.deepEqual([losses[0]?.code, losses[0]?.facts['errno'], losses.length], ['tun.lost', 'EINVAL', 1]);
      socket.close();
      await tun.close();
      assert.deepEqual(describeRoutes(), [UNREACHABLE]);
    },
  },
  'a loss is reported to one who listens later': {
    run: async () => {
      const tun = open();
      ip('link', 'del', NAME);
      await new Promise((resolve) => setTimeout(resolve, 50));
      const lost = await new Promise<GateError>((resolve) => tun.onLost(resolve));
      assert.equal(lost.code, 'tun.lost');
      await tun.close();
    },
  },
  'a loss is noticed while nobody takes the packets': {
    run: async () => {
      const [tun, socket] = [open(), await udpSocket(OURS_TEXT)];
      socket.connect(9, PEER_TEXT);
      await once(socket, 'connect');
      // More than both slabs hold, so that the reader waits for one of them.
      for (let count = 0; count < 1500; count += 1) socket.send(Buffer.alloc(1400));
      await new Promise((resolve) => setTimeout(resolve, 100));
      ip('link', 'del', NAME);
      const lost = await new Promise<GateError>((resolve) => tun.onLost(resolve));
      assert.equal(lost.code, 'tun.lost');
      socket.close();
      await tun.close();
    },
  },
  'a worker that is terminated takes its interface along': {
    run: async () => {
      const worker = await startWorker(OFFLOAD.none);
      assert.equal(interfaceExists(), true);
      await worker.terminate();
      assert.equal(interfaceExists(), false);
      await open().close();
    },
  },
  'a worker can be terminated while packets pour in': {
    run: async () => {
      const socket = await udpSocket('::');
      let poured = 0;
      for (let turn = 0; turn < 6; turn += 1) {
        const worker = await startWorker(turn % 2 === 0 ? OFFLOAD.none : OFFLOAD.tcpAndUdp);
        for (let count = 0; count < 2000; count += 1) socket.send(Buffer.alloc(500), 9, PEER_TEXT);
        await new Promise((resolve) => setTimeout(resolve, turn));
        poured += Number(readFileSync(`/sys/class/net/${NAME}/statistics/tx_packets`, 'utf8'));
        await worker.terminate();
        assert.equal(interfaceExists(), false);
      }
      assert.ok(poured > 0, 'packets were read');
      socket.close();
    },
  },
  'process.exit while reading is an end like any other': {
    run: () => {
      open().onPackets(() => {});
      setTimeout(() => process.exit(7), 20);
    },
    afterwards: (namespace, status) => {
      assert.equal(status, 7);
      assert.equal(namespace.run('ip', '-o', 'link', 'show', 'type', 'tun'), '');
    },
  },
  'a process that is not told to close stays alive': {
    run: () => {
      open();
      setTimeout(() => process.kill(process.pid, 'SIGTERM'), 300).unref();
    },
    afterwards: (_namespace, status) => assert.equal(status, 'SIGTERM'),
  },
});
