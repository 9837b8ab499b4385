/**
 * Both ends of the control socket. The server bounds everything that a client can make it hold: connections, the length
 * of a line, how long a connection may stay without a question, and what is done for clients that are gone.
 */
import { dirname } from 'node:path';
import type { Duplex } from 'node:stream';
import { LineBuffer } from '../control/line-buffer.ts';
import type { MethodRegistry } from '../control/methods.ts';
import {
  encodeFailure,
  encodeRequest,
  encodeResult,
  LONGEST_ANSWER,
  LONGEST_REQUEST,
  parseAnswer,
  parseRequest,
  refuseHttp,
  SIGN_OF_LIFE,
} from '../control/protocol.ts';
import type { ListenerPort } from '../core/ports.ts';
import { type Clock, type Timer, within } from '../kit/clock.ts';
import { asGateError, GateError } from '../kit/errors.ts';
import { type Logger, logDefect } from '../kit/log.ts';
import type { Service } from '../kit/service.ts';
import { Slots } from '../kit/slots.ts';
import { createTally } from '../kit/tally.ts';
import { listen } from './listener.ts';
import { openConnection } from './open-connection.ts';
import type { FileOwnership } from './owners.ts';
import { makeSocketDirectory } from './socket-directory.ts';
import { systemSockets } from './system-sockets.ts';

export interface ControlServerParts {
  readonly path: string;
  /** Permissions of the socket, such as 0o660. */
  readonly mode: number;
  /** Who will remove the socket at the end, when that is another user than now. */
  readonly keeper?: FileOwnership | undefined;
  readonly methods: MethodRegistry;
  readonly clock: Clock;
  readonly log: Logger;
}

const MOST_CONNECTIONS = 32;
/** A client has one at a time: more are there only when clients have left what cannot be given up. */
const MOST_CALLS = MOST_CONNECTIONS;
/** Between two looks at whether a client still waits for its answer. */
const SIGN_OF_LIFE_MS = 1_000;
/** Longer than the pause of `status --watch`. */
const IDLE_TIMEOUT_MS = 15_000;

function endNow(client: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (client.closed) resolve();
    else client.once('close', resolve).destroy();
  });
}

/** `displaced`: closed to make room for another; `refusedLimit`: questions, while too many were being answered. */
const CONTROL_COUNTERS = ['displaced', 'refusedLimit'] as const;

export interface ControlServerSnapshot {
  readonly clients: number;
  readonly counts: Readonly<Record<(typeof CONTROL_COUNTERS)[number], number>>;
}

export class ControlServer implements Service {
  readonly #parts: ControlServerParts;
  readonly #counts = createTally(CONTROL_COUNTERS);
  readonly #calls = new Slots(MOST_CALLS);
  /** Oldest first. */
  readonly #open = new Set<Duplex>();
  #listener: ListenerPort | undefined;

  constructor(parts: ControlServerParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    const { path, mode, keeper } = this.#parts;
    await makeSocketDirectory(dirname(path), keeper);
    this.#listener = await listen({ endpoint: { kind: 'unix', path }, mode, keeper }, this.#parts);
    this.#listener.accept((client) => this.#admit(client));
  }

  async stop(): Promise<void> {
    await this.#listener?.close();
    this.#listener = undefined;
    await Promise.all([...this.#open].map(endNow));
  }

  snapshot(): ControlServerSnapshot {
    return { clients: this.#open.size, counts: this.#counts.snapshot() };
  }

  #admit(client: Duplex): void {
    // The oldest makes room, so that nobody can lock the operator out by holding connections.
    const [oldest] = this.#open;
    if (oldest !== undefined && this.#open.size >= MOST_CONNECTIONS) {
      // At once: the next client may be here before it has closed.
      this.#open.delete(oldest);
      oldest.destroy();
      this.#counts.add('displaced');
    }
    this.#open.add(client);
    const idle = new IdleTimer(this.#parts.clock, () => client.destroy());
    const gone = new AbortController();
    client.once('close', () => {
      idle.stop();
      this.#open.delete(client);
      gone.abort(new GateError('cancelled', 'control.client-gone', 'nobody waits for the answer any more'));
    });
    this.#serve(client, idle, gone.signal).then(
      () => client.end(),
      (error) => {
        // A client that went away is no news; everything else is told to it and ends it.
        if (client.destroyed) return;
        client.end(encodeFailure(null, error, 'reading the request'), () => client.destroy());
      },
    );
  }

  async #serve(client: Duplex, idle: IdleTimer, gone: AbortSignal): Promise<void> {
    const lines = new LineBuffer(LONGEST_REQUEST);
    for await (const chunk of chunks(client)) {
      for (const line of lines.push(chunk)) {
        if (client.destroyed) return;
        refuseHttp(line);
        // Some answers take longer than a connection may be idle.
        idle.stop();
        const looking = this.#lookAfter(client);
        const answer = await this.#answer(line, gone);
        looking.cancel();
        if (client.destroyed) return;
        idle.restart();
        const taken = client.write(answer);
        // One that asks and never reads is not asked to wait: it is waited for, until the idle timer ends it.
        if (!taken) await drained(client);
      }
    }
  }

  /** One that has only ended its own side waits; one that has gone after that fails to be written to, and is closed. */
  #lookAfter(client: Duplex): Timer {
    let timer: Timer;
    const later = () => {
      timer = this.#parts.clock.after(SIGN_OF_LIFE_MS, () => {
        if (client.destroyed) return;
        client.write(SIGN_OF_LIFE);
        later();
      });
    };
    later();
    return { cancel: () => timer.cancel() };
  }

  async #answer(line: string, gone: AbortSignal): Promise<string> {
    let id: number | null = null;
    const leave = this.#calls.take();
    try {
      const request = parseRequest(line);
      id = request.id;
      if (leave === undefined) {
        this.#counts.add('refusedLimit');
        throw new GateError(
          'limit',
          'control.busy',
          `${MOST_CALLS} questions are being answered; ask again in a moment`,
        );
      }
      return encodeResult(id, await this.#parts.methods.call(request, gone));
    } catch (thrown) {
      const error = logDefect(this.#parts.log, thrown, 'answering a control request');
      return encodeFailure(id, error, 'answering');
    } finally {
      leave?.();
    }
  }
}

class IdleTimer {
  readonly #clock: Clock;
  readonly #expired: () => void;
  #timer: Timer;

  constructor(clock: Clock, expired: () => void) {
    this.#clock = clock;
    this.#expired = expired;
    this.#timer = clock.after(IDLE_TIMEOUT_MS, expired);
  }

  restart(): void {
    this.#timer.cancel();
    this.#timer = this.#clock.after(IDLE_TIMEOUT_MS, this.#expired);
  }

  stop(): void {
    this.#timer.cancel();
  }
}

export interface ControlClient {
  /** @throws GateError as the gateway answered, or `local-io` when it went away */
  request(method: string, params?: Readonly<Record<string, unknown>>, timeoutMs?: number): Promise<unknown>;
  close(): void;
}

const ANSWER_TIMEOUT_MS = 10_000;

/** @throws GateError `local-io` with code `control.not-running`, or `permission` */
export async function connectControl(path: string, clock: Clock, signal: AbortSignal): Promise<ControlClient> {
  const socket = await openConnection(
    systemSockets(),
    { kind: 'unix', path },
    { signal, doing: 'connecting to the gateway', explain: (error) => explain(path, error) },
  );
  // A gateway that has ended has nothing more to be asked.
  socket.allowHalfOpen = false;
  return new SocketClient(socket, path, clock, signal);
}

class SocketClient implements ControlClient {
  readonly #socket: Duplex;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #buffer = new LineBuffer(LONGEST_ANSWER);
  #lines: string[] = [];
  #lastId = 0;

  constructor(socket: Duplex, path: string, clock: Clock, signal: AbortSignal) {
    this.#socket = socket;
    this.#path = path;
    this.#clock = clock;
    this.#signal = signal;
    this.#chunks = chunks(socket)[Symbol.asyncIterator]();
  }

  request(
    method: string,
    params: Readonly<Record<string, unknown>> = {},
    timeoutMs = ANSWER_TIMEOUT_MS,
  ): Promise<unknown> {
    const late = new GateError('local-io', 'control.timeout', 'the gateway did not answer in time; see its log');
    return within(this.#clock, timeoutMs, late, this.#signal, async (signal) => {
      const onAbort = () => this.#socket.destroy();
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        return await this.#exchange(method, params);
      } catch (error) {
        throw signal.aborted ? signal.reason : error;
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  async #exchange(method: string, params: Readonly<Record<string, unknown>>): Promise<unknown> {
    this.#lastId += 1;
    this.#socket.write(encodeRequest(this.#lastId, method, params));
    const answer = parseAnswer(await this.#nextLine());
    if ('error' in answer) throw asTold(answer.error);
    if (answer.id !== this.#lastId) throw gone(this.#path);
    return answer.ok;
  }

  async #nextLine(): Promise<string> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      const next = await this.#chunks.next();
      if (next.done === true) throw gone(this.#path);
      this.#lines = [...this.#buffer.push(next.value)];
    }
  }
}

/** Ends quietly when the other side resets: what was read until then is all there is. */
async function* chunks(stream: Duplex): AsyncGenerator<Uint8Array> {
  try {
    // The end of the questions must not cut off an answer that is still on its way.
    const all: AsyncIterable<unknown> = stream.iterator({ destroyOnReturn: false });
    for await (const chunk of all) if (chunk instanceof Uint8Array) yield chunk;
  } catch (error) {
    const { kind } = asGateError(error, 'reading the control socket');
    if (kind === 'bug' && !stream.destroyed) throw error;
  }
}

function drained(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    stream.once('drain', resolve);
    stream.once('close', resolve);
  });
}

function explain(path: string, error: NodeJS.ErrnoException): GateError {
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return new GateError(
        'local-io',
        'control.not-running',
        `not running: nobody answers at ${path}; start it with \`garligate run\``,
        { cause: error },
      );
    case 'EACCES':
    case 'EPERM':
      return new GateError(
        'permission',
        'control.permission',
        `this user may not open ${path}; become root, or one of its group`,
        { cause: error },
      );
    default:
      return new GateError('local-io', 'control.failed', `${path}: ${error.message}`, { cause: error });
  }
}

/** A defect of the gateway is none of whoever asked: its place stands in the gateway's log. */
function asTold({ kind, code, message }: Pick<GateError, 'kind' | 'code' | 'message'>): GateError {
  return new GateError(kind === 'bug' ? 'local-io' : kind, code, message);
}

function gone(path: string): GateError {
  return new GateError('local-io', 'control.gone', `the gateway at ${path} went away while answering`);
}
