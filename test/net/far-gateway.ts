/**
 * What tests with a second gateway in another namespace share. Its way to the fake bridge, which lives with the first one, is
 * a unix socket, which needs no network.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { createInterface } from 'node:readline';
import type { BridgePort } from '../../src/core/ports.ts';
import { openConnection } from '../../src/io/open-connection.ts';
import { systemSockets } from '../../src/io/system-sockets.ts';
import { GateError } from '../../src/kit/errors.ts';
import type { FakeBridge } from '../helpers/fake-bridge/bridge.ts';

/** The bridge for those who have no network to it. */
export async function unixDoor(path: string, bridge: FakeBridge): Promise<Server> {
  const door = createServer({ allowHalfOpen: true }, (client) => {
    const onward = connect({ ...bridge.address, allowHalfOpen: true });
    for (const [one, other] of [
      [client, onward],
      [onward, client],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
      one.pipe(other);
    }
  });
  door.listen(path);
  await once(door, 'listening');
  return door;
}

function notThere({ message }: Error): GateError {
  return new GateError('router-down', 'test.bridge', message);
}

/** Through such a door. */
export function unixBridge(path: string): BridgePort {
  return {
    open: (signal) =>
      openConnection(systemSockets(), { kind: 'unix', path }, { signal, doing: 'connecting', explain: notThere }),
  };
}

/** Waits until it says that it is ready. */
export async function readyLine(child: ChildProcess): Promise<void> {
  assert.ok(child.stdout !== null);
  const [line] = await once(createInterface(child.stdout), 'line');
  assert.equal(line, 'ready');
}

/** Sends random bytes to somebody who sends them back, and compares. */
export async function tcpRoundTrip(address: string, port: number, length: number): Promise<void> {
  const bytes = randomBytes(length);
  const socket = connect({ host: address, port, allowHalfOpen: true });
  const back = createHash('sha256');
  let count = 0;
  socket.on('data', (chunk: Buffer) => {
    back.update(chunk);
    count += chunk.length;
  });
  socket.end(bytes);
  await once(socket, 'end');
  assert.equal(count, bytes.length);
  assert.equal(back.digest('hex'), createHash('sha256').update(bytes).digest('hex'));
}
