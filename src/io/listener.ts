/**
 * Listening sockets, TCP and unix. Clients are handed out paused, half-open allowed and with an `error` listener, as
 * ports.ts promises.
 */
import { lstat, stat, unlink } from 'node:fs/promises';
import { connect, createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { type Endpoint, formatEndpoint } from '../config/endpoint.ts';
import type { ListenerPort } from '../core/ports.ts';
import { GateError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { acceptFailures } from './accept-failures.ts';
import { systemClock } from './clock.ts';
import { leaveToOwner } from './connected.ts';

export interface ListenSettings {
  readonly endpoint: Endpoint;
  /** Permissions of a unix socket, such as 0o660. */
  readonly mode: number;
  /** Bytes held in each direction of a client before the other side is stopped; Node's own mark unless told. */
  readonly highWaterMark?: number;
}

/** Connections that the kernel holds while we are busy, and again as many that wait for `accept` to be called. */
const BACKLOG = 128;

/**
 * Binds and listens at once; clients that come before `accept` is called wait in the kernel or are kept paused.
 *
 * @throws GateError `local-io` or `permission` with what to do
 */
export async function listen(settings: ListenSettings, log: Logger): Promise<ListenerPort> {
  const { endpoint, mode, highWaterMark } = settings;
  const marks = highWaterMark === undefined ? {} : { highWaterMark };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true, ...marks });
  const waiting = new Set<Socket>();
  let take: ((client: Socket) => void) | undefined;

  server.on('connection', (client) => {
    client.on('error', leaveToOwner);
    Object.assign(client, { writesThrough: true });
    if (take !== undefined) take(client);
    else if (waiting.size < BACKLOG) waiting.add(client);
    else client.destroy();
  });
  if (endpoint.kind === 'unix') await removeStale(endpoint.path);
  await bind(server, endpoint, mode);
  // Most clients that find our file table full never show here: libuv accepts and closes them with a spare descriptor,
  // and tells nobody. What comes is the rest, such as a full table of the whole machine or no memory.
  server.on('error', acceptFailures(systemClock, log));

  return {
    where: describe(server, endpoint),
    accept: (accepted) => {
      take = (client) => accepted(client, { address: client.remoteAddress });
      for (const client of waiting) take(client);
      waiting.clear();
    },
    close: async () => {
      for (const client of waiting) client.destroy();
      waiting.clear();
      // Resolves when the port is free; clients in hand live on with their owners.
      if (server.listening) await stopListening(server);
    },
  };
}

function bind(server: Server, endpoint: Endpoint, mode: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => reject(explain(error, endpoint));
    server.once('error', onError);
    const onListening = () => {
      server.off('error', onError);
      resolve();
    };
    const where: ListenOptions =
      endpoint.kind === 'tcp'
        ? { host: endpoint.host, port: endpoint.port, ipv6Only: endpoint.host.includes(':') }
        : { path: endpoint.path };
    // The socket file is made during this call, with these permissions from its first moment on.
    const before = endpoint.kind === 'unix' ? process.umask(0o777 & ~mode) : undefined;
    try {
      server.listen({ ...where, backlog: BACKLOG, exclusive: true }, onListening);
    } finally {
      if (before !== undefined) process.umask(before);
    }
  });
}

/** @throws GateError when somebody listens there, when it is not a socket, or when there is no directory for it */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return requireDirectory(dirname(path));
  if (!found.isSocket()) {
    throw new GateError('local-io', 'listener.not-a-socket', `${path} exists and is not a socket; move it away`);
  }
  if (await answers(path)) throw inUse(path);
  await unlink(path);
}

/** libuv reports a missing directory as missing rights. */
async function requireDirectory(directory: string): Promise<void> {
  const isThere = await stat(directory).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (isThere) return;
  throw new GateError('local-io', 'listener.directory', `the directory ${directory} does not exist; make it`);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    const finish = (isAlive: boolean) => {
      probe.destroy();
      resolve(isAlive);
    };
    probe.once('connect', () => finish(true));
    // Only a refusal proves that nobody is there: EAGAIN, for instance, is a busy listener.
    probe.once('error', (error: NodeJS.ErrnoException) => finish(error.code !== 'ECONNREFUSED'));
  });
}

function explain(error: NodeJS.ErrnoException, endpoint: Endpoint): GateError {
  const where = formatEndpoint(endpoint);
  const more = { facts: { errno: error.code }, cause: error };
  switch (error.code) {
    case 'EADDRINUSE':
      return inUse(where, error);
    case 'EACCES':
    case 'EPERM':
      return new GateError(
        'permission',
        'listener.permission',
        `no right to listen at ${where}; choose another place`,
        more,
      );
    case 'EADDRNOTAVAIL':
      return new GateError('local-io', 'listener.address', `this machine does not have the address of ${where}`, more);
    default:
      return new GateError('local-io', 'listener.failed', `cannot listen at ${where}: ${error.message}`, more);
  }
}

function inUse(where: string, cause?: unknown): GateError {
  const message = `${where} is in use by another program, perhaps another garligate; stop it or choose another place`;
  return new GateError('local-io', 'listener.in-use', message, { cause });
}

function describe(server: Server, endpoint: Endpoint): string {
  const bound = server.address();
  return endpoint.kind === 'tcp' && typeof bound === 'object' && bound !== null
    ? formatEndpoint({ ...endpoint, port: bound.port })
    : formatEndpoint(endpoint);
}

function stopListening(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close();
    setImmediate(resolve);
  });
}
