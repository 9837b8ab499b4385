/**
 * A program for tests, run inside a namespace: `serve` TCP and UDP services, or `scan` ports from outside, and print what
 * was found. Each is named as in `tcp/fd00::1/7001`.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** How long a port may take to answer; one that says nothing for so long is filtered. */
const SILENCE_MS = 3_000;

const [mode, ...words] = process.argv.slice(2);
const targets = words.map((word) => {
  const [protocol, host, port] = word.split('/');
  if ((protocol !== 'tcp' && protocol !== 'udp') || host === undefined) throw new Error(`no port: ${word}`);
  return { word, protocol, host, port: Number(port) } as const;
});

async function serve({ protocol, host, port }: (typeof targets)[number]): Promise<void> {
  if (protocol === 'tcp') {
    await once(createServer((client) => client.end('served')).listen(port, host), 'listening');
    return;
  }
  const socket = createSocket({ type: 'udp6' });
  socket.on('message', (message, from) => socket.send(message, from.port, from.address));
  socket.bind(port, host);
  await once(socket, 'listening');
}

type Found = 'open' | 'closed' | 'filtered';

function knock({ protocol, host, port }: (typeof targets)[number]): Promise<Found> {
  return new Promise((resolve) => {
    const fromError = ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED' ? 'closed' : 'filtered');
    setTimeout(() => resolve('filtered'), SILENCE_MS).unref();
    if (protocol === 'tcp') {
      connect({ host, port }, () => resolve('open')).on('error', fromError);
      return;
    }
    const socket = createSocket({ type: 'udp6' });
    socket.on('message', () => resolve('open'));
    socket.on('error', fromError);
    // Connected, so that the kernel passes on what an ICMPv6 error says.
    socket.connect(port, host, () => socket.send('knock'));
  });
}

if (mode === 'serve') {
  for (const target of targets) await serve(target);
  process.stdout.write('ready\n');
} else {
  const found = await Promise.all(targets.map(async (target) => [target.word, await knock(target)]));
  process.stdout.write(JSON.stringify(Object.fromEntries(found)), () => process.exit());
}
