/**
 * Listening sockets, TCP and unix. Clients are handed out paused, half-open allowed and with an `error` listener, as
 * ports.ts promises.
 */
import { constants } from 'node:fs';
import { chmod, chown, lstat, open, stat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { type Endpoint, formatEndpoint } from '../config/endpoint.ts';
import type { ListenerPort } from '../core/ports.ts';
import type { Clock } from '../kit/clock.ts';
import { GateError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { createAcceptFailureLog } from './accept-failures.ts';
import { type FileOwnership, ownershipOf } from './owners.ts';
import { type Client, leaveToOwner, type Sockets, type StreamMarks } from './sockets.ts';
import { systemSockets } from './system-sockets.ts';

export interface ListenSettings extends StreamMarks {
  readonly endpoint: Endpoint;
  /** Permissions of a unix socket, such as 0o660. */
  readonly mode: number;
  /** User and group of a unix socket, by name or number; those of this process unless told. */
  readonly owner?: string;
  readonly group?: string;
  /** Whom a unix socket belongs to where `owner` or `group` name nobody; this process unless told. */
  readonly keeper?: FileOwnership | undefined;
}

export interface ListenEnvironment {
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Binds and listens at once; clients that come before `accept` is called wait in the kernel or are kept paused.
 *
 * @throws GateError `local-io` or `permission` with what to do
 */
export async function listen(
  { endpoint, mode, owner = '', group = '', keeper, ...marks }: ListenSettings,
  { clock, log }: ListenEnvironment,
  sockets: Sockets = systemSockets(),
): Promise<ListenerPort> {
  if (sockets.plain !== undefined) log.debug(`clients are accepted without the native part: ${sockets.plain.message}`);
  const ownership = await ownershipOf(owner, group, keeper);
  if (endpoint.kind === 'unix') await removeStale(endpoint.path, [process.geteuid?.(), ownership?.uid]);
  const bind = () => sockets.listen(endpoint, marks);
  // Nobody ever has more rights than in the end: a socket that will be given away is first only its maker's.
  const arrivals = await withMode(endpoint, ownership === undefined ? mode : 0o600, bind).catch((error) => {
    throw explain(error, endpoint);
  });
  if (endpoint.kind === 'unix' && ownership !== undefined) {
    await giveAway(endpoint.path, ownership, mode).catch(async (error) => {
      await arrivals.close();
      throw error;
    });
  }
  return {
    where: formatEndpoint(endpoint.kind === 'tcp' ? { ...endpoint, port: arrivals.port } : endpoint),
    accept: (accepted) => {
      const take = (client: Client) => {
        const address = client.remoteAddress;
        client.on('error', leaveToOwner);
        // It has been reset already, and nobody could say whether it may come in: without an address are unix sockets.
        if (endpoint.kind === 'tcp' && address === undefined) return void client.destroy();
        accepted(client, {
          address,
          // Few want it, and it costs a call to the kernel.
          get localAddress() {
            return client.localAddress;
          },
        });
      };
      arrivals.accept(take, createAcceptFailureLog(clock, log));
    },
    close: () => arrivals.close(),
  };
}

function withMode<T>(endpoint: Endpoint, mode: number, bind: () => T): T {
  if (endpoint.kind === 'tcp') return bind();
  // The socket file is made during this call, with these permissions from its first moment on.
  const before = process.umask(0o777 & ~mode);
  try {
    return bind();
  } finally {
    process.umask(before);
  }
}

/** Linux's O_PATH, which Node does not name: to have a file in hand without opening it. */
const O_PATH = 0o10_000_000;

async function giveAway(path: string, { uid, gid }: FileOwnership, mode: number): Promise<void> {
  try {
    // The very socket: in a directory of somebody else's, another file may stand there by now.
    const socket = await open(path, O_PATH | constants.O_NOFOLLOW);
    try {
      const found = await socket.stat();
      if (!found.isSocket() || found.uid !== process.geteuid?.()) throw new Error('another file stands there');
      const inHand = `/proc/self/fd/${socket.fd}`;
      await chown(inHand, uid, gid);
      await chmod(inHand, mode);
    } finally {
      await socket.close();
    }
  } catch (cause) {
    const message = `no right to give ${path} to another user or group; run as root, or leave out owner and group`;
    throw new GateError('permission', 'listener.owner', message, { cause });
  }
}

/**
 * @param ours users whose dead socket may be removed
 * @throws GateError when somebody listens there, when it is not a socket of ours, or when there is no directory for it
 */
async function removeStale(path: string, ours: ReadonlyArray<number | undefined>): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return requireDirectory(dirname(path));
  if (!found.isSocket()) {
    throw new GateError('local-io', 'listener.not-a-socket', `${path} exists and is not a socket; move it away`);
  }
  if (await answers(path)) throw inUse(path);
  if (!ours.includes(found.uid)) {
    const message = `${path} is a socket of user ${found.uid} at which nobody answers; remove it if nobody needs it`;
    throw new GateError('local-io', 'listener.foreign-socket', message);
  }
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
