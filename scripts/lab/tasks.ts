/**
 * What a helper process does inside a namespace, where the lab itself cannot go: serve, measure, and carry connections
 * over the border. Run by helper.ts; asked for through namespace-helper.ts.
 */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Server } from 'node:net';
import { connect, createServer, isIPv6, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { readExactly } from './sam-client.ts';
import { handedOver, webServer } from './web-server.ts';

export type Task =
  /** Serves the lab's web pages, and the files of a folder. */
  | { readonly kind: 'serve-web'; readonly host: string; readonly port: number; readonly folder?: string }
  /** Counts the bytes that a web server of this process has handed over to the download of this name. */
  | { readonly kind: 'handed-over'; readonly name: string }
  /** Sends back what comes, over TCP and UDP. */
  | { readonly kind: 'serve-echo'; readonly host: string; readonly port: number }
  /** Carries connections to a unix socket, which has no namespace, to a TCP port inside this one. */
  | { readonly kind: 'carry'; readonly path: string; readonly host: string; readonly port: number }
  /** One TCP connection to an echo server, on which each message waits for its echo, like a person at a shell. */
  | ({ readonly kind: 'talk' } & Exchange)
  /** Datagrams to an echo server at a steady pace. */
  | ({ readonly kind: 'send-datagrams'; readonly everyMs: number } & Exchange);

export type Exchange = {
  readonly host: string;
  readonly port: number;
  readonly messages: number;
  /** Bytes of each message. */
  readonly length: number;
  readonly timeoutMs: number;
};

/** Milliseconds from message to echo, for every message that came back unchanged. */
export type RoundTrips = readonly number[];
/** Round trips of an exchange, one number of bytes where these were to be counted; empty for what only serves. */
export type Figures = readonly number[];

/** How long late datagrams are waited for. */
const STRAGGLERS_MS = 10_000;

/** Servers stay after the task is done, until the process ends. */
export async function perform(task: Task): Promise<Figures> {
  switch (task.kind) {
    case 'serve-web':
      return listening(webServer(task.folder), { host: task.host, port: task.port });
    case 'handed-over':
      return [handedOver(task.name)];
    case 'serve-echo':
      return serveEcho(task.host, task.port);
    case 'carry':
      return carry(task.path, task.host, task.port);
    case 'talk':
      return talk(task);
    case 'send-datagrams':
      return sendDatagrams(task, task.everyMs);
    default:
      return task satisfies never;
  }
}

async function listening(
  server: Server,
  where: { readonly host: string; readonly port: number } | { readonly path: string },
): Promise<Figures> {
  server.listen(where);
  await once(server, 'listening');
  return [];
}

async function serveEcho(host: string, port: number): Promise<Figures> {
  const server = createServer({ noDelay: true }, (client) => {
    client.on('error', () => client.destroy());
    client.pipe(client);
  });
  await listening(server, { host, port });
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  socket.on('message', (message, from) => socket.send(message, from.port, from.address));
  socket.bind(port, host);
  await once(socket, 'listening');
  return [];
}

async function carry(path: string, host: string, port: number): Promise<Figures> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (outside) => {
    const inside = connect({ host, port, noDelay: true, allowHalfOpen: true });
    join(outside, inside);
    join(inside, outside);
  });
  return listening(server, { path });
}

/** One direction; a socket that breaks takes the other with it. */
function join(from: Socket, to: Socket): void {
  from.on('error', () => to.destroy());
  from.on('close', (broken) => broken && to.destroy());
  from.pipe(to);
}

async function talk({ host, port, messages, length, timeoutMs }: Exchange): Promise<RoundTrips> {
  const signal = AbortSignal.timeout(timeoutMs);
  const stream = connect({ host, port, noDelay: true });
  const times: number[] = [];
  try {
    await once(stream, 'connect', { signal });
    for (let sent = 0; sent < messages; sent++) {
      const message = randomBytes(length);
      const start = performance.now();
      stream.write(message);
      const echo = await readExactly(stream, length, signal);
      if (!echo.equals(message)) throw new Error(`echo ${sent + 1} differs from what was sent`);
      times.push(performance.now() - start);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new Error(`only ${times.length} of ${messages} echoes came within ${timeoutMs / 1000} s`, { cause: error });
  } finally {
    stream.destroy();
  }
  return times;
}

async function sendDatagrams(exchange: Exchange, everyMs: number): Promise<RoundTrips> {
  const { host, port, messages, length } = exchange;
  const deadline = performance.now() + exchange.timeoutMs;
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  const sent = new Map<string, number>();
  const times: number[] = [];
  let refusal: Error | undefined;
  socket.on('error', (error) => {
    refusal = error; // The kernel passes on an ICMP answer to an earlier datagram.
  });
  socket.on('message', (message) => {
    const at = sent.get(message.toString('latin1'));
    if (at === undefined) return;
    sent.delete(message.toString('latin1'));
    times.push(performance.now() - at);
  });
  try {
    socket.connect(port, host);
    await once(socket, 'connect');
    for (let number = 0; number < messages && performance.now() < deadline; number++) {
      const message = randomBytes(length);
      sent.set(message.toString('latin1'), performance.now());
      socket.send(message);
      await pause(everyMs);
    }
    const patience = Math.min(deadline, performance.now() + STRAGGLERS_MS);
    while (sent.size > 0 && performance.now() < patience) await pause(20);
  } finally {
    socket.close();
  }
  if (refusal !== undefined && times.length === 0) throw refusal;
  return times;
}
