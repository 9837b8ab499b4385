/** What the native addon (native.ts) offers of stream sockets: numbers in place of objects, one call for each step. */

/** The number of an open socket of the addon's set. */
export type SocketPlace = number;

/** What happened to a socket, and what is waited for; may be added up. The numbers of native/sockets.h. */
export const SOCKET_EVENT = {
  /** Bytes, the end, or on a listening socket a client. */
  readable: 1,
  /** Room for bytes; on a connecting socket: it is connected, or has failed. */
  writable: 2,
  /** Both directions are over. Not to be waited for: told wherever something is. */
  broken: 4,
} as const;

/**
 * The addon's set of stream sockets, which never block. Where the kernel is not ready a number is -1. Every function throws a
 * NativeError, EBADF at a place that was closed. Such a place is given away again only before the next events.
 */
export interface NativeSockets {
  /**
   * Binds and listens; clients wait in the kernel.
   *
   * @param address 4 or 16 bytes
   */
  listenTcp(address: Uint8Array, port: number, backlog: number): SocketPlace;
  listenUnix(path: string, backlog: number): SocketPlace;
  /** @returns a client, for whose bytes is waited; -1 when there is none */
  accept(listener: SocketPlace): SocketPlace;
  /** Begins to connect; nothing is waited for yet. Of this and of clients of `listenTcp`, small segments go at once. */
  connectTcp(address: Uint8Array, port: number): SocketPlace;
  connectUnix(path: string): SocketPlace;
  /** @throws NativeError when connecting has failed */
  isConnected(place: SocketPlace): boolean;
  /** @param what is waited for from now on; it is told again and again until it is no longer so */
  watch(place: SocketPlace, what: number): void;
  /** @returns bytes that now stand at the start of `into`; 0 at the end */
  read(place: SocketPlace, into: Uint8Array): number;
  /** @returns bytes that the kernel took */
  write(place: SocketPlace, bytes: Uint8Array): number;
  /** The same for several pieces, as one. */
  writeParts(place: SocketPlace, parts: readonly Uint8Array[]): number;
  /** Nothing more will be written. */
  finish(place: SocketPlace): void;
  /** The kernel takes no more than `bytes` ahead of what it has sent (TCP_NOTSENT_LOWAT). */
  limitUnsent(place: SocketPlace, bytes: number): void;
  /** Undefined for a unix socket, and for one that is gone. */
  remoteAddress(place: SocketPlace): string | undefined;
  localAddress(place: SocketPlace): string | undefined;
  /** 0 for a unix socket. */
  localPort(place: SocketPlace): number;
  /** @param reset the other side sees a failure and no end, where the socket knows one */
  close(place: SocketPlace, reset: boolean): void;
}
