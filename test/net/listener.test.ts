/** Listeners whose clients are accepted by the native part, and what only that part does. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { loadNative } from '../../src/io/native.ts';
import { SocketSet } from '../../src/io/socket-set.ts';
import { ANY_PORT, dialAt, testListeners } from '../helpers/listeners.ts';
import { until } from '../helpers/until.ts';

testListeners(new SocketSet(loadNative()));

test('clients that come while the file table is full wait at the door, are told of, and are served later', async () => {
  const script = join(import.meta.dirname, 'full-table.ts');
  const child = spawn('sh', ['-c', 'ulimit -n 80; exec "$0" "$@"', process.execPath, '--import', 'tsx', script]);
  child.stderr.pipe(process.stderr);
  const said: string[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => said.push(line));
  await until('it listens', () => said.length > 0, 60_000);
  const clients = Array.from({ length: 100 }, () => dialAt({ ...ANY_PORT, port: Number(said[0]) }));
  await until('its table is full', () => said.includes('EMFILE'), 60_000);
  child.stdin.write('make room\n');
  const answered = () => clients.filter((client) => client.bytesRead > 0 || client.readableLength > 0).length;
  for (const client of clients) client.resume();
  await until('all are served', () => answered() === clients.length, 60_000);
  child.stdin.end();
  await new Promise((resolve) => child.once('exit', resolve));
});
