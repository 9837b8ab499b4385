import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { listeningServices, parseSocketTable } from '../../../src/io/listening.ts';

test('services that listen are found with address and port, and others are not', async () => {
  const server = createServer((client) => client.destroy()).listen(0, '::1');
  const everywhere = createServer().listen(0, '::');
  const socket = createSocket('udp6').bind(0, '::1');
  await Promise.all([once(server, 'listening'), once(everywhere, 'listening'), once(socket, 'listening')]);
  try {
    const found = (await listeningServices()).map(
      ({ protocol, port, address }) => `${protocol} ${address.toString('hex')} ${port}`,
    );
    const portOf = (address: ReturnType<typeof server.address>) =>
      typeof address === 'object' && address !== null ? address.port : assert.fail();
    const [zeros, loopback] = ['0'.repeat(32), '1'.padStart(32, '0')];
    assert.ok(found.includes(`tcp ${loopback} ${portOf(server.address())}`));
    assert.ok(found.includes(`tcp ${zeros} ${portOf(everywhere.address())}`));
    assert.ok(found.includes(`udp ${loopback} ${socket.address().port}`));
  } finally {
    server.close();
    everywhere.close();
    socket.close();
  }
});

test('connections, headings and what cannot be read are no services', () => {
  const line = (state: string) =>
    `   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 ${state} 00000000:00000000`;
  assert.equal(parseSocketTable('tcp', line('0A')).length, 1);
  assert.equal(parseSocketTable('tcp', line('01')).length, 0);
  assert.equal(parseSocketTable('udp', line('07')).length, 1);
  assert.equal(parseSocketTable('udp', line('01')).length, 0);
  assert.deepEqual(parseSocketTable('tcp', '  sl  local_address   remote_address\n\nnonsense'), []);
});
