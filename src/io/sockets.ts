/**
 * Stream sockets as this program wants them, whoever makes them: the native part (socket-set.ts) or Node itself
 * (node-sockets.ts). Every stream is handed out connected, paused and with half-open allowed; those of TCP send small
 * segments at once.
 */
import type { Duplex } from 'node:stream';
import type { Endpoint, UnixEndpoint } from '../config/endpoint.ts';
import type { GateError } from '../kit/errors.ts';

/** Connections that the kernel holds while we are busy; Node's server, which takes them at once, holds as many itself. */
export const BACKLOG = 128;

export interface StreamMarks {
  /** Of both directions, in bytes; Node's own mark unless told. */
  readonly highWaterMark?: number;
}

/** Node reads 64 KiB at once: with a mark below it every single read would stop the other side and start it again. */
export const STREAM_MARKS: StreamMarks = { highWaterMark: 128 * 1024 };

/** Whom to connect to. */
export type Remote =
  /** An address of 4 or 16 bytes. */
  { readonly kind: 'tcp'; readonly address: Uint8Array; readonly port: number } | UnixEndpoint;

/** Told once how connecting went, perhaps before `connect` returns; `error.code` is the errno's name. */
export interface Outcome {
  connected(stream: Duplex): void;
  failed(error: NodeJS.ErrnoException): void;
}

/** A stream that knows its addresses; undefined for a unix socket and for one that is gone. */
export interface Client extends Duplex {
  readonly remoteAddress?: string | undefined;
  readonly localAddress?: string | undefined;
}

/** A bound socket and the clients that arrive at it. */
export interface Arrivals {
  /** Of a TCP socket, and 0 for a unix socket. */
  readonly port: number;
  /** @param failed told of each attempt to accept that failed */
  accept(take: (client: Client) => void, failed: (error: NodeJS.ErrnoException) => void): void;
  /** Resolves when the address is free; clients in hand live on with their owners. */
  close(): Promise<void>;
}

export interface Sockets {
  /** Why these are Node's own, which cost more; undefined where they are those of the native part. */
  readonly plain: GateError | undefined;
  /** @returns gives up, after which nothing is told any more */
  connect(to: Remote, marks: StreamMarks, outcome: Outcome): () => void;
  /**
   * Binds before anything asynchronous is done: the caller may have set the umask for it.
   *
   * @throws the system's error
   */
  listen(endpoint: Endpoint, marks: StreamMarks): Promise<Arrivals>;
}

/**
 * The `error` listener of a socket that has an owner, who hears of the end through the stream itself: without any listener
 * the process would die of it. One for all sockets.
 */
export function leaveToOwner(): void {}
