/**
 * `garligate leak-test` on machines that leak and on machines that do not: with the gateway up, without its router, killed, or
 * never started, with routes that somebody else has set, and with something else than a gateway at the SOCKS port.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startDaemon } from '../helpers/daemon.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { until } from '../helpers/until.ts';
import { LAN } from './lan-kit.ts';
import { declareScenarios, type Scenario } from './namespace.ts';

const COMMAND = fileURLToPath(new URL('../../bin/garligate', import.meta.url));
const PORT = 9_160;

interface Outcome {
  readonly code: unknown;
  readonly text: string;
}

/** As people run it, without a gateway. @param wrapper a command that becomes it */
async function leakTest(wrapper: readonly string[] = []): Promise<Outcome> {
  const directory = mkdtempSync(join(tmpdir(), 'garligate-leak-'));
  const config = join(directory, 'garligate.toml');
  writeFileSync(config, `[[socks]]\nlisten = "127.0.0.1:${PORT}"`, { mode: 0o644 });
  chmodSync(directory, 0o755);
  const [program = '', ...words] = [...wrapper, process.execPath, COMMAND, 'leak-test', '--config', config];
  try {
    return await new Promise((resolve) => {
      execFile(program, words, (failure, output, complaints) => {
        resolve({ code: failure === null ? 0 : failure.code, text: output + complaints });
      });
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function alone(judge: (outcome: Outcome) => void, prepare = ':', wrapper: readonly string[] = []): Scenario {
  return { prepare: `${LAN}; ${prepare}`, run: async () => judge(await leakTest(wrapper)) };
}

await declareScenarios(import.meta.filename, {
  'a machine without a gateway and with a way out leaks the packets': alone(({ code, text }) => {
    assert.match(text, /LEAK +\d+ packets for the VPN left by lan0/);
    assert.match(text, /not asked for at 127\.0\.0\.1:9160: nothing listens there/);
    assert.equal(code, 14);
  }),
  'a route to a network leaks the question who has the address': alone(({ code, text }) => {
    assert.match(text, /LEAK +\d+ questions for a neighbour left by lan0/);
    assert.equal(code, 14);
  }, 'ip route add fd60:db4d:ddb5::/64 dev lan0; ip route add fd60:db4d:ddb5::/48 dev lan0'),
  'the unreachable route that a gateway leaves behind is enough': alone(({ code, text }) => {
    assert.match(text, /(\d+) sent to addresses of the VPN, \1 of them refused at once/);
    assert.match(text, /nothing left this machine/);
    assert.equal(code, 0);
  }, 'ip route add unreachable fd60:db4d:ddb5::/48'),
  "an address that is still tried for duplicates can be nobody's source, and is left out": alone(({ code, text }) => {
    assert.match(text, /LEAK +\d+ packets for the VPN left by lan0/);
    assert.equal(code, 14);
  }, 'sysctl -qw net.ipv6.conf.lan0.dad_transmits=60; ip addr add 2001:db8::5/64 dev lan0'),
  'only root may look': alone(
    ({ code, text }) => {
      assert.match(text, /Only root may look at what leaves this machine/);
      assert.equal(code, 5);
    },
    ':',
    ['setpriv', '--reuid=65534', '--clear-groups', '--'],
  ),
  'a gateway holds its packets and names back, also when somebody takes a part of the VPN, and when it is killed': {
    prepare: LAN,
    longestMs: 60_000,
    run: async () => {
      const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45' });
      const daemon = await startDaemon({ bridge: bridge.address, vpn: true, listen: `127.0.0.1:${PORT}` });
      const up = await daemon.command('leak-test');
      assert.match(up, /names +4 asked for at 127\.0\.0\.1:9160\nnothing left/);
      for (const half of ['fd60:db4d:ddb5::/49', 'fd60:db4d:ddb5:8000::/49']) {
        execFileSync('ip', ['route', 'add', half, 'via', '2001:db8::2']);
      }
      assert.match(await daemon.command('leak-test'), /nothing left/);
      for (const half of ['fd60:db4d:ddb5::/49', 'fd60:db4d:ddb5:8000::/49']) {
        execFileSync('ip', ['-6', 'route', 'del', half]);
      }
      await daemon.kill();
      assert.match(await daemon.command('leak-test'), /nothing left/);
      await daemon.stop();
      await bridge.stop();
    },
  },
  'a gateway whose router falls silent, is gone, or was never there holds its packets and names back': {
    prepare: LAN,
    longestMs: 60_000,
    run: async () => {
      const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45' });
      const daemon = await startDaemon({ bridge: bridge.address, vpn: true, listen: `127.0.0.1:${PORT}` });
      const holds = /names +4 asked for at 127\.0\.0\.1:9160\nnothing left/;
      bridge.misbehave({ on: '', action: { kind: 'silence' } });
      assert.match(await daemon.command('leak-test'), holds);
      await bridge.stop();
      await until('it knows', async () => (await daemon.status()).sessions[0]?.state !== 'ready');
      assert.match(await daemon.command('leak-test'), holds);
      await daemon.kill();
      assert.match(await daemon.command('leak-test'), /nothing left/);
      await daemon.stop();
      const lonely = await startDaemon({ bridge: bridge.address, vpn: true, listen: `127.0.0.1:${PORT}` });
      assert.match(await lonely.command('leak-test'), holds);
      await lonely.stop();
    },
  },
  'however a gateway ends - by a fault of memory, by an abort for want of it, by being told to - nothing leaves': {
    prepare: LAN,
    longestMs: 60_000,
    run: async () => {
      const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45' });
      for (const signal of ['SIGSEGV', 'SIGABRT', 'SIGTERM'] as const) {
        const daemon = await startDaemon({ bridge: bridge.address, vpn: true, listen: `127.0.0.1:${PORT}` });
        await daemon.kill(signal);
        assert.match(await daemon.command('leak-test'), /nothing left/, signal);
        await daemon.stop();
      }
      await bridge.stop();
    },
  },
  'something else at the SOCKS port that asks a name server is found out': {
    prepare: LAN,
    run: async () => {
      const resolver = createSocket('udp4');
      const proxy = createServer((client) => {
        client.on('error', () => {});
        client.on('data', (request) => {
          const label = /leaktest[a-z2-7]+/.exec(request.toString('latin1'))?.[0] ?? assert.fail('no name');
          const question = Buffer.concat([Buffer.alloc(12), Buffer.of(label.length), Buffer.from(label.toUpperCase())]);
          resolver.send(question, 53, '127.0.0.1', () => client.destroy());
        });
      });
      proxy.listen(PORT, '127.0.0.1');
      await once(proxy, 'listening');
      const { code, text } = await leakTest();
      assert.match(text, /LEAK +\d+ questions for a name left by lo/);
      assert.equal(code, 14);
      proxy.close();
      resolver.close();
    },
  },
});
