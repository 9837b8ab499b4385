/** Asks a SOCKS listener for names that nobody has, as a program would. Whether anything leaves meanwhile is for others to see. */
import { connect } from 'node:net';
import { type Endpoint, formatEndpoint } from '../config/endpoint.ts';
import { type Clock, deadline } from '../kit/clock.ts';
import { GateError } from '../kit/errors.ts';

/** Where names were asked for, and how many; or why nobody could be asked. */
export interface NamesAsked {
  readonly listen: string;
  readonly asked: number;
  readonly why?: string;
}

const ANSWER_MS = 5_000;

/**
 * Asks for names inside and outside of I2P, as SOCKS 5 and 4a have it. What is answered does not matter.
 *
 * @param label stands in every name, to be looked for in what leaves this machine
 * @throws the reason of `signal`
 */
export async function askForNames(
  listen: Endpoint,
  hasUsers: boolean,
  label: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<NamesAsked> {
  const where = { listen: formatEndpoint(listen), asked: 0 };
  if (hasUsers) return { ...where, why: 'it has users, and a name is not heard before a password' };
  const names = [`${label}.i2p`, `${label}.example.com`];
  for (const request of names.flatMap((name) => [socks5(name), socks4a(name)])) {
    const reached = await exchange(listen, request, clock, signal);
    if (!reached) return { ...where, why: 'nothing listens there' };
    where.asked += 1;
  }
  return where;
}

async function exchange(listen: Endpoint, request: Buffer, clock: Clock, signal: AbortSignal): Promise<boolean> {
  const socket = connect(listen.kind === 'unix' ? { path: listen.path } : { host: listen.host, port: listen.port });
  const limit = deadline(clock, ANSWER_MS, new GateError('cancelled', 'leak-test.silent', 'no answer'), signal);
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  let reached = false;
  socket.on('connect', () => {
    reached = true;
    socket.write(request);
  });
  socket.on('error', () => {}); // Told by `reached`.
  socket.resume();
  const giveUp = () => socket.destroy();
  if (limit.signal.aborted) giveUp();
  else limit.signal.addEventListener('abort', giveUp, { once: true });
  await closed;
  limit.clear();
  signal.throwIfAborted();
  return reached;
}

function socks5(name: string): Buffer {
  return Buffer.concat([Buffer.of(5, 1, 0, 5, 1, 0, 3, name.length), Buffer.from(name), Buffer.of(0, 80)]);
}

function socks4a(name: string): Buffer {
  return Buffer.from(`\x04\x01\x00\x50\x00\x00\x00\x01\x00${name}\x00`, 'latin1');
}
