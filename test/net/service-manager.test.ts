/** A gateway that a service manager has started: what arrives at the manager's socket, and when. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { startDaemon } from '../helpers/daemon.ts';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { until } from '../helpers/until.ts';
import { declareScenarios } from './namespace.ts';

/** Prints each datagram as a line. Node has no sockets of this kind. */
const RECEIVER = `
import os, socket, sys
address = sys.argv[1]
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind("\\0" + address[1:] if address[0] == "@" else address)
if address[0] != "@": os.chmod(address, 0o777)
print("listening", flush=True)
while True: print(receiver.recv(4096).decode(), flush=True)
`;
const WATCHDOG_MS = 500;
/** Long enough for ten signs of life. */
const STILL_MS = 5 * WATCHDOG_MS;

/** @param at where its socket is, given a directory that everybody can look into */
async function managed(at: (directory: string) => string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'garligate-manager-'));
  chmodSync(directory, 0o755);
  const address = at(directory);
  const receiver = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'python3', '-c', RECEIVER, address]);
  let heard = '';
  receiver.stdout.on('data', (data) => {
    heard += String(data);
  });
  const lines = () => heard.split('\n').slice(0, -1);
  await until('the manager listens', () => lines().length === 1);
  const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'i2pd-2.45' });
  const environment = [`NOTIFY_SOCKET=${address}`, `WATCHDOG_USEC=${1000 * WATCHDOG_MS}`];
  const daemon = await startDaemon({ bridge: bridge.address, vpn: true, wrapper: ['env', ...environment] });

  await until('it has shown life three times', () => lines().length >= 5);
  assert.deepEqual(lines().slice(0, 5), ['listening', 'READY=1', 'WATCHDOG=1', 'WATCHDOG=1', 'WATCHDOG=1']);
  process.kill(daemon.pid, 'SIGSTOP');
  await pause(WATCHDOG_MS);
  const before = lines().length;
  await pause(STILL_MS);
  assert.equal(lines().length, before, 'a gateway that stands still shows no life');
  process.kill(daemon.pid, 'SIGCONT');
  await until('it shows life again', () => lines().length > before);

  await daemon.stop();
  await until('it says that it ends', () => lines().at(-1) === 'STOPPING=1');
  await bridge.stop();
  receiver.kill('SIGKILL');
  await once(receiver, 'close');
  rmSync(directory, { recursive: true });
}

await declareScenarios(import.meta.filename, {
  'a manager at a path hears that it is up, alive as long as it turns, and ending, though it is not root any more': {
    longestMs: 60_000,
    run: () => managed((directory) => join(directory, 'notify')),
  },
  'a manager at an abstract name hears the same': {
    longestMs: 60_000,
    run: () => managed(() => '@garligate-test-manager'),
  },
});
