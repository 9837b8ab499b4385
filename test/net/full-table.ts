/**
 * A program for listener.test.ts, run with few file descriptors: accepts natively, keeps every client, and says so when it
 * can have no more. Told to make room, it answers those it has and every later one, and lets them go.
 */
import type { Duplex } from 'node:stream';
import { systemClock } from '../../src/io/clock.ts';
import { listen } from '../../src/io/listener.ts';
import { loadNative } from '../../src/io/native.ts';
import { SocketSet } from '../../src/io/socket-set.ts';
import { silentLogger } from '../../src/kit/log.ts';

const say = (text: string) => process.stdout.write(`${text}\n`);
const log = { ...silentLogger, warn: (_text: string, facts?: object) => say(String(Object(facts).errno)) };
const listener = await listen(
  { endpoint: { kind: 'tcp', host: '127.0.0.1', port: 0 }, mode: 0o600 },
  { clock: systemClock, log },
  new SocketSet(loadNative()),
);
let hasRoom = false;
const kept: Duplex[] = [];
const answer = (client: Duplex) => client.end('served', () => client.destroy());
listener.accept((client) => {
  if (hasRoom) answer(client);
  else kept.push(client);
});
say(listener.where.split(':').at(-1) ?? '');
process.stdin.on('data', () => {
  hasRoom = true;
  kept.forEach(answer);
});
process.stdin.on('end', () => process.exit());
