/**
 * The sockets of the native part (docs/adr/0029): one set of them for the process. The event loop is told of what has
 * happened to any of them once in a turn, a batch of events at a time, so that a busy set and the rest of the event loop
 * have their turns one after the other.
 */
import { lstatSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import ipaddr from 'ipaddr.js';
import type { Endpoint } from '../config/endpoint.ts';
import type { NativeAddon } from './native.ts';
import { NativeSocket, nativeError } from './native-socket.ts';
import { type NativeSockets, SOCKET_EVENT, type SocketPlace } from './native-sockets.ts';
import { ReadBuffers } from './read-buffers.ts';
import {
  type Arrivals,
  BACKLOG,
  type Client,
  type Outcome,
  type Remote,
  type Sockets,
  type StreamMarks,
} from './sockets.ts';

/** Events in one turn of the event loop. */
const MOST_EVENTS = 64;
/** Clients of one listener in one turn. */
const MOST_CLIENTS = 32;
/** How long nobody is accepted after a failure: a client that cannot be had stays at the door, and is told of again. */
const FAILURE_PAUSE_MS = 100;

/** Whoever has a place in the set. */
export interface SocketHandler {
  /** @param what SOCKET_EVENT, added up */
  ready(what: number): void;
}

export class SocketSet implements Sockets {
  readonly plain = undefined;
  readonly native: NativeSockets;
  readonly buffers = new ReadBuffers();
  readonly #occupants: Array<SocketHandler | undefined> = [];
  readonly #events = new Uint32Array(2 * MOST_EVENTS);

  constructor(addon: Pick<NativeAddon, 'openSockets'>) {
    this.native = addon.openSockets((count) => this.#dispatch(count), this.#events);
  }

  connect(to: Remote, marks: StreamMarks, outcome: Outcome): () => void {
    let place: SocketPlace;
    try {
      place = to.kind === 'tcp' ? this.native.connectTcp(to.address, to.port) : this.native.connectUnix(to.path);
    } catch (error) {
      outcome.failed(nativeError(error));
      return () => {};
    }
    const attempt = new ConnectAttempt(this, place, marks, outcome);
    attempt.ready();
    return () => attempt.giveUp();
  }

  async listen(endpoint: Endpoint, marks: StreamMarks): Promise<Arrivals> {
    const place =
      endpoint.kind === 'tcp'
        ? this.native.listenTcp(Uint8Array.from(ipaddr.parse(endpoint.host).toByteArray()), endpoint.port, BACKLOG)
        : this.native.listenUnix(endpoint.path, BACKLOG);
    return new ListeningSocket(this, place, marks, endpoint.kind === 'unix' ? endpoint.path : undefined);
  }

  occupy(place: SocketPlace, occupant: SocketHandler): void {
    this.#occupants[place] = occupant;
  }

  close(place: SocketPlace, reset: boolean): void {
    this.#occupants[place] = undefined;
    this.native.close(place, reset);
  }

  #dispatch(count: number): void {
    for (let at = 0; at < 2 * count; at += 2) {
      // Whoever has left during this turn is no longer there, and nobody has the place yet.
      this.#occupants[this.#events[at] ?? 0]?.ready(this.#events[at + 1] ?? 0);
    }
  }
}

/** A connection that is being made. */
class ConnectAttempt implements SocketHandler {
  readonly #set: SocketSet;
  readonly #marks: StreamMarks;
  readonly #outcome: Outcome;
  #place: SocketPlace | undefined;
  #watched = 0;

  constructor(set: SocketSet, place: SocketPlace, marks: StreamMarks, outcome: Outcome) {
    this.#set = set;
    this.#place = place;
    this.#marks = marks;
    this.#outcome = outcome;
    set.occupy(place, this);
  }

  /** On this machine it is there, or refused, as soon as it was begun. */
  ready(): void {
    const place = this.#place;
    if (place === undefined) return;
    const { native } = this.#set;
    try {
      if (!native.isConnected(place)) {
        this.#watched = SOCKET_EVENT.writable;
        native.watch(place, this.#watched);
        return;
      }
    } catch (error) {
      this.giveUp();
      this.#outcome.failed(nativeError(error));
      return;
    }
    this.#place = undefined;
    this.#outcome.connected(new NativeSocket(this.#set, place, this.#marks, this.#watched));
  }

  giveUp(): void {
    if (this.#place === undefined) return;
    this.#set.close(this.#place, false);
    this.#place = undefined;
  }
}

class ListeningSocket implements Arrivals, SocketHandler {
  readonly port: number;
  readonly #set: SocketSet;
  readonly #marks: StreamMarks;
  readonly #path: string | undefined;
  /** The socket's own, so that another one in its place is left alone. */
  readonly #file: string | undefined;
  #place: SocketPlace | undefined;
  #take: (client: Client) => void = () => {};
  #failed: (error: NodeJS.ErrnoException) => void = () => {};
  #pause: NodeJS.Timeout | undefined;

  constructor(set: SocketSet, place: SocketPlace, marks: StreamMarks, path: string | undefined) {
    this.#set = set;
    this.#place = place;
    this.#marks = marks;
    this.#path = path;
    this.#file = path === undefined ? undefined : fileAt(path);
    this.port = set.native.localPort(place);
    set.occupy(place, this);
  }

  accept(take: (client: Client) => void, failed: (error: NodeJS.ErrnoException) => void): void {
    this.#take = take;
    this.#failed = failed;
    this.#wait();
  }

  ready(): void {
    for (let count = 0; count < MOST_CLIENTS && this.#place !== undefined; count += 1) {
      try {
        const client = this.#set.native.accept(this.#place);
        if (client < 0) return;
        this.#take(new NativeSocket(this.#set, client, this.#marks, SOCKET_EVENT.readable));
      } catch (error) {
        this.#failed(nativeError(error));
        this.#set.native.watch(this.#place, 0);
        this.#pause = setTimeout(() => this.#wait(), FAILURE_PAUSE_MS);
        return;
      }
    }
  }

  async close(): Promise<void> {
    if (this.#place === undefined) return;
    clearTimeout(this.#pause);
    const place = this.#place;
    this.#place = undefined;
    // Nobody else may be at the path before it is free.
    if (this.#path !== undefined && fileAt(this.#path) === this.#file) await unlink(this.#path).catch(() => {});
    this.#set.close(place, false);
  }

  #wait(): void {
    if (this.#place !== undefined) this.#set.native.watch(this.#place, SOCKET_EVENT.readable);
  }
}

/** Tells files apart; undefined when there is none, or none that may be seen by the user whom we are at the end. */
function fileAt(path: string): string | undefined {
  try {
    const { dev, ino } = lstatSync(path, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    return undefined;
  }
}
