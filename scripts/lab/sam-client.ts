/**
 * A SAM client of a few lines for the lab's own judgement of its network. On purpose not the product's: when the product's
 * client is wrong, the network must not look broken, nor the other way round.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { limit } from './command.ts';

export type OpenBridge = (signal: AbortSignal) => Promise<Socket>;

const REPLY_MS = 60_000;
/** i2pd 2.45.1 looks only every 20 s whether a session is ready, and the first tunnels may fail. */
const SESSION_MS = 90_000;
/** Session options by which a destination is published for certain; see tunnelsConfig in router-config.ts. */
export const TUNNELS =
  'inbound.length=1 inbound.quantity=3 outbound.length=0 outbound.quantity=3 i2cp.leaseSetEncType=4';
const LONGEST_LINE = 8192;

export interface SamSession {
  /** The public destination in I2P base64. */
  readonly destination: string;
  /** A stream to a destination. */
  connect(destination: string, signal: AbortSignal): Promise<Socket>;
  /** The next stream from anybody. */
  accept(signal: AbortSignal): Promise<Socket>;
  /** The same, and whose it is: a destination in I2P base64. */
  acceptFrom(signal: AbortSignal): Promise<{ readonly stream: Socket; readonly from: string }>;
  /** Resolves when the session is over, whoever has ended it. */
  readonly ended: Promise<void>;
  close(): void;
}

/**
 * @param keys a private key blob, or `TRANSIENT` for new keys
 * @throws Error with the router's reply
 */
export async function openSession(open: OpenBridge, keys: string, signal: AbortSignal): Promise<SamSession> {
  const id = `lab${Math.random().toString(36).slice(2)}`;
  const control = await greet(open, signal);
  const key = keys === 'TRANSIENT' ? 'TRANSIENT SIGNATURE_TYPE=7' : keys;
  const command = `SESSION CREATE STYLE=STREAM ID=${id} DESTINATION=${key} ${TUNNELS}`;
  const blob = fieldOf(await ask(control, command, limit(SESSION_MS, signal)), 'DESTINATION');
  const bytes = Buffer.from(blob.replaceAll('-', '+').replaceAll('~', '/'), 'base64');
  const publicPart = bytes.subarray(0, 387 + bytes.readUInt16BE(385)).toString('base64');
  const acceptFrom = async (stop: AbortSignal) => {
    const stream = await greet(open, stop);
    await ask(stream, `STREAM ACCEPT ID=${id} SILENT=false`, limit(REPLY_MS, stop));
    try {
      const [from = ''] = (await readLine(stream, stop)).split(' ');
      return { stream, from };
    } catch (error) {
      stream.destroy();
      throw error;
    }
  };
  return {
    destination: publicPart.replaceAll('+', '-').replaceAll('/', '~'),
    connect: async (destination, stop) => {
      const stream = await greet(open, stop);
      await ask(stream, `STREAM CONNECT ID=${id} DESTINATION=${destination} SILENT=false`, limit(REPLY_MS, stop));
      return stream;
    },
    accept: async (stop) => (await acceptFrom(stop)).stream,
    acceptFrom,
    ended: new Promise((resolve) => {
      control.once('close', () => resolve());
      control.resume();
    }),
    close: () => void control.destroy(),
  };
}

/** Can the router find this destination? Asks for its lease set, so `true` means that it can be reached. */
export async function canFind(open: OpenBridge, name: string, signal: AbortSignal): Promise<boolean> {
  const stream = await greet(open, signal);
  try {
    stream.write(`NAMING LOOKUP NAME=${name}\n`);
    return / RESULT=OK /.test(await readLine(stream, limit(REPLY_MS, signal)));
  } finally {
    stream.destroy();
  }
}

/** Says hello and leaves. @throws Error when the bridge is not there or refuses */
export async function greetBridge(open: OpenBridge, signal: AbortSignal): Promise<void> {
  const stream = await greet(open, signal);
  stream.destroy();
}

/** The next `length` bytes of a stream; what came with them stays in it. */
export async function readExactly(stream: Socket, length: number, signal: AbortSignal): Promise<Buffer> {
  // Takes whatever is there: asked for more than that, a stream says again and again that there is something to read.
  let bytes = Buffer.alloc(0);
  while (bytes.length < length) {
    const chunk: unknown = stream.read();
    if (chunk instanceof Buffer) bytes = Buffer.concat([bytes, chunk]);
    else await moreOf(stream, signal);
  }
  if (bytes.length > length) stream.unshift(bytes.subarray(length));
  return bytes.subarray(0, length);
}

async function greet(open: OpenBridge, signal: AbortSignal): Promise<Socket> {
  const stream = await open(signal);
  // i2pd wants each command in one segment, and no version range that it does not know as a whole.
  await ask(stream, 'HELLO VERSION MIN=3.1 MAX=3.3', limit(REPLY_MS, signal));
  return stream;
}

/** @throws Error when the reply is not OK; the stream is destroyed then */
async function ask(stream: Socket, command: string, signal: AbortSignal): Promise<string> {
  try {
    stream.write(`${command}\n`);
    const reply = await readLine(stream, signal);
    if (!/ RESULT=OK\b/.test(reply)) throw new Error(`SAM refused ${command.split(' ', 2).join(' ')}: ${reply}`);
    return reply;
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

async function readLine(stream: Socket, signal: AbortSignal): Promise<string> {
  let line = Buffer.alloc(0);
  while (line.length < LONGEST_LINE) {
    const chunk: unknown = stream.read();
    if (!(chunk instanceof Buffer)) {
      await moreOf(stream, signal);
      continue;
    }
    const end = chunk.indexOf('\n');
    if (end < 0) {
      line = Buffer.concat([line, chunk]);
      continue;
    }
    if (end + 1 < chunk.length) stream.unshift(chunk.subarray(end + 1));
    return Buffer.concat([line, chunk.subarray(0, end)]).toString('latin1');
  }
  throw new Error('the SAM bridge sent a line without end');
}

async function moreOf(stream: Socket, signal: AbortSignal): Promise<void> {
  if (stream.destroyed || stream.readableEnded) throw new Error('the SAM bridge closed the connection');
  const either = new AbortController();
  const stop = AbortSignal.any([signal, either.signal]);
  try {
    await Promise.race([once(stream, 'readable', { signal: stop }), ended(stream, stop)]);
  } finally {
    either.abort();
  }
}

async function ended(stream: Socket, signal: AbortSignal): Promise<void> {
  await once(stream, 'close', { signal });
}

function fieldOf(reply: string, key: string): string {
  const value = new RegExp(` ${key}=(\\S+)`).exec(reply)?.[1];
  if (value === undefined) throw new Error(`the SAM bridge did not say ${key}`);
  return value;
}
