/** Real UDP sockets on loopback, as ports.ts wants them. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { UdpSocket } from '../../../src/core/ports.ts';
import { openBridgeDatagrams } from '../../../src/io/bridge-udp.ts';
import { connectUdp, kernelUdp } from '../../../src/io/udp.ts';
import { GateError } from '../../../src/kit/errors.ts';
import type { UdpAddress } from '../../../src/wire/sam/command.ts';
import { until } from '../../helpers/until.ts';

const { signal } = new AbortController();
const open: UdpSocket[] = [];
after(() => {
  for (const socket of open) socket.close();
});

async function bind(address: string) {
  const socket = await kernelUdp.bind(address, 0);
  open.push(socket);
  const heard: Array<{ readonly text: string; readonly from: UdpAddress }> = [];
  socket.onDatagram((bytes, from) => heard.push({ text: bytes.toString(), from }));
  return { socket, heard };
}

for (const address of ['127.0.0.1', '::1']) {
  describe(`on ${address}`, () => {
    it('datagrams go to and fro, and tell where they came from', async () => {
      const [one, other] = [await bind(address), await bind(address)];
      assert.equal(one.socket.local.address, address);
      assert.equal(one.socket.send(Buffer.from('there'), other.socket.local), true);
      await until('it arrives', () => other.heard.length === 1);
      assert.deepEqual(other.heard, [{ text: 'there', from: one.socket.local }]);
    });

    it('a connected socket hears nobody but the other side', async () => {
      const [bridge, stranger] = [await bind(address), await bind(address)];
      const socket = await connectUdp(bridge.socket.local, signal);
      open.push(socket);
      const heard: string[] = [];
      socket.onDatagram((bytes) => heard.push(bytes.toString()));
      stranger.socket.send(Buffer.from('forged'), socket.local);
      socket.send(Buffer.from('hello'));
      await until('it arrives', () => bridge.heard.length === 1);
      bridge.socket.send(Buffer.from('answer'), bridge.heard[0]?.from);
      await until('the answer arrives', () => heard.length > 0);
      assert.deepEqual(heard, ['answer']);
    });

    it('a refused datagram is reported', async () => {
      const gone = await bind(address);
      gone.socket.close();
      const socket = await connectUdp(gone.socket.local, signal);
      open.push(socket);
      const errors: GateError[] = [];
      socket.onError((error) => errors.push(error));
      await until('the kernel says so', () => {
        socket.send(Buffer.from('x'));
        return errors.length > 0;
      });
      assert.equal(errors[0]?.facts['errno'], 'ECONNREFUSED');
    });
  });
}

it('a closed socket takes nothing and may be closed again', async () => {
  const { socket } = await bind('127.0.0.1');
  const { local } = socket;
  socket.close();
  socket.close();
  assert.equal(socket.send(Buffer.from('x'), local), false);
});

it('a datagram that came from port 0 cannot be answered, and does no harm', async () => {
  const [one, other] = [await bind('127.0.0.1'), await bind('127.0.0.1')];
  assert.equal(one.socket.send(Buffer.from('x'), { ...other.socket.local, port: 0 }), false);
  assert.equal(one.socket.send(Buffer.from('y'), other.socket.local), true);
  await until('the next one arrives', () => other.heard.length === 1);
});

it('what does not fit into the queue is refused, not kept', async () => {
  const [one, other] = [await bind('127.0.0.1'), await bind('127.0.0.1')];
  const large = Buffer.alloc(60_000);
  const taken = Array.from({ length: 200 }, () => one.socket.send(large, other.socket.local));
  // Within one turn of the event loop, in which the kernel tells nothing of what it has taken.
  const most = Math.floor((512 * 1024) / (large.length + 512));
  assert.deepEqual([taken.filter(Boolean).length, taken.lastIndexOf(true)], [most, most - 1]);
  await until('there is room again', () => one.socket.send(large, other.socket.local));
});

it('small ones are refused too, for each costs more than its bytes', async () => {
  const [one, other] = [await bind('127.0.0.1'), await bind('127.0.0.1')];
  const taken = Array.from({ length: 5_000 }, () => one.socket.send(Buffer.from('x'), other.socket.local));
  const count = taken.filter(Boolean).length;
  assert.equal(count, Math.floor((512 * 1024) / (1 + 512)));
  await until('there is room again', () => one.socket.send(Buffer.from('x'), other.socket.local));
});

it('a port can be asked for; one that is taken is said to be that', async () => {
  const { socket } = await bind('::1');
  await assert.rejects(
    kernelUdp.bind('::1', socket.local.port),
    (error) => error instanceof GateError && error.code === 'udp.port-taken',
  );
  const { port } = socket.local;
  socket.close();
  const again = await kernelUdp.bind('::1', port);
  open.push(again);
  assert.deepEqual(again.local, { address: '::1', port });
});

it('a socket that cannot be connected is refused and closed', async () => {
  const sockets = () => process.getActiveResourcesInfo().filter((kind) => kind === 'UDPWrap').length;
  // Those of the tests before are closed by then.
  await new Promise((resolve) => setImmediate(resolve));
  const before = sockets();
  await assert.rejects(connectUdp({ address: '255.255.255.255', port: 7 }, signal), GateError);
  await until('it is gone', () => sockets() <= before);
});

it('an address that this machine does not have is said to be that', async () => {
  await assert.rejects(
    kernelUdp.bind('192.0.2.1', 0),
    (error) => error instanceof GateError && error.code === 'udp.address',
  );
});

it('the UDP port of a bridge is the one below, another one, or none', async () => {
  const bridge = await bind('127.0.0.1');
  const { address: host, port } = bridge.socket.local;
  for (const [choice, at] of [
    [{ kind: 'auto' }, port + 1],
    [{ kind: 'port', port }, 7656],
  ] as const) {
    const socket = await openBridgeDatagrams({ kind: 'tcp', host, port: at }, choice, signal);
    socket?.send(Buffer.from(choice.kind));
    await until('it arrives', () => bridge.heard.some(({ text }) => text === choice.kind));
    socket?.close();
  }
  assert.equal(await openBridgeDatagrams({ kind: 'tcp', host, port }, { kind: 'off' }, signal), undefined);
});
