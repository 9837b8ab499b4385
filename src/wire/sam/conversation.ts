/**
 * The conversations of SAM v3, each as a generator that yields what it wants to send or asks for a line, and returns the
 * outcome; `conversationMachine` makes a step machine of one. Knows no socket and no time.
 */
import { GateError } from '../../kit/errors.ts';
import { type Machine, NO_BYTES, RECEIVE, type Step } from '../../kit/step.ts';
import { type Destination, type PrivateKeys, parseDestination, parsePrivateKeys } from '../i2p/destination.ts';
import {
  acceptCommand,
  connectCommand,
  generateCommand,
  helloCommand,
  lookupCommand,
  pingCommand,
  type SamCredentials,
  type SessionCommand,
  sessionCommand,
} from './command.ts';
import { parseReceived, type ReceivedHead, type SamDatagram } from './datagram.ts';
import { LineReader } from './line.ts';
import { expectOk, type SamReply, type SamSubject, unexpected } from './reply.ts';

/** What a conversation wants next: bytes to be sent, a line, or so many bytes, which it gets one character for each. */
type IoRequest =
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  | { readonly kind: 'line' }
  | { readonly kind: 'bytes'; readonly length: number };
export type Conversation<Out> = Generator<IoRequest, Out, string>;

export interface SamVersion {
  readonly major: number;
  readonly minor: number;
}

/** TO_PORT, FROM_PORT and PING came with SAM 3.2. */
export function knowsPorts(version: SamVersion): boolean {
  return version.major > 3 || (version.major === 3 && version.minor >= 2);
}

export function* hello(credentials?: SamCredentials): Conversation<SamVersion> {
  const reply = yield* ask(helloCommand(credentials), 'HELLO REPLY');
  const [, major, minor] = /^(\d)\.(\d)$/.exec(valueIn(reply, 'VERSION')) ?? [];
  if (major === undefined || minor === undefined) throw unexpected('a version');
  return { major: Number(major), minor: Number(minor) };
}

/** After `hello`, which is answered at once. This may take minutes: the router builds tunnels first. */
export function* createSession(session: SessionCommand): Conversation<PrivateKeys> {
  const reply = yield* ask(sessionCommand(session), 'SESSION STATUS');
  const made = fromRouter(() => parsePrivateKeys(valueIn(reply, 'DESTINATION')));
  const { keys } = session;
  if (keys !== 'transient' && made.destination.b32 !== keys.destination.b32) {
    throw new GateError(
      'router-protocol',
      'sam.foreign-destination',
      'the SAM bridge made a session with another destination than that of the key file, so it is not used; is it really a SAM bridge?',
    );
  }
  return made;
}

export interface StreamRequest {
  readonly id: string;
  readonly destination: string;
  readonly port: number;
}

export function* connectStream(request: StreamRequest, credentials?: SamCredentials): Conversation<void> {
  const version = yield* hello(credentials);
  const toPort = knowsPorts(version) ? request.port : undefined;
  yield* ask(connectCommand({ id: request.id, destination: request.destination, toPort }), 'STREAM STATUS');
}

/** Arms one STREAM ACCEPT. The peer comes later: see `acceptedPeer`. */
export function* armAccept(id: string, credentials?: SamCredentials): Conversation<void> {
  yield* hello(credentials);
  yield* ask(acceptCommand(id), 'STREAM STATUS');
}

/** Who opened a stream to us, and on which I2P ports: since SAM 3.2, and i2pd leaves them out all the same. */
export interface AcceptedPeer {
  readonly from: Destination;
  readonly fromPort: number | undefined;
  readonly toPort: number | undefined;
}

/** The line with which an armed STREAM ACCEPT begins to carry a stream. */
export function* acceptedPeer(): Conversation<AcceptedPeer> {
  const line = yield* receiveLine();
  // Java I2P can end an armed accept with a status line instead.
  if (line.startsWith('STREAM STATUS')) {
    expectOk(line, 'STREAM STATUS');
    throw unexpected('a destination');
  }
  const [destination = '', ...values] = line.split(' ');
  return {
    from: fromRouter(() => parseDestination(destination)),
    fromPort: portIn(values, 'FROM_PORT'),
    toPort: portIn(values, 'TO_PORT'),
  };
}

function portIn(values: readonly string[], name: string): number | undefined {
  const text = values.find((value) => value.startsWith(`${name}=`))?.slice(name.length + 1);
  const port = text !== undefined && /^\d{1,5}$/.test(text) ? Number(text) : undefined;
  return port !== undefined && port <= 65_535 ? port : undefined;
}

export function* lookupName(name: string, credentials?: SamCredentials): Conversation<Destination> {
  yield* hello(credentials);
  const reply = yield* ask(lookupCommand(name), 'NAMING REPLY');
  return fromRouter(() => parseDestination(valueIn(reply, 'VALUE')));
}

export function* generateKeys(credentials?: SamCredentials): Conversation<PrivateKeys> {
  yield* hello(credentials);
  const reply = yield* ask(generateCommand(), 'DEST REPLY');
  return fromRouter(() => parsePrivateKeys(valueIn(reply, 'PRIV')));
}

/**
 * After `hello`, since SAM 3.2: finds out whether the bridge answers PING and stays. Java I2P does. i2pd 2.59 answers and
 * closes the connection, which would end a session if it were its control connection.
 */
export function* provePing(): Conversation<boolean> {
  for (const text of ['one', 'two']) {
    yield { kind: 'send', bytes: pingCommand(text) };
    if ((yield* receiveLine()) !== `PONG ${text}`) return false;
  }
  return true;
}

/** A conversation that only waits for one line, for a connection that has said everything else. */
export function* receiveLine(): Conversation<string> {
  return yield { kind: 'line' };
}

export type ControlMessage =
  | { readonly kind: 'line'; readonly line: string }
  | { readonly kind: 'datagram'; readonly datagram: SamDatagram };

/** The next thing that a router says on the control connection of a session: a line, or a datagram behind its line. */
export function* receiveControl(): Conversation<ControlMessage> {
  const line = yield* receiveLine();
  if (!line.startsWith('DATAGRAM RECEIVED ')) return { kind: 'line', line };
  const { size, ...origin }: ReceivedHead = parseReceived(line);
  const payload = Buffer.from(yield { kind: 'bytes', length: size }, 'latin1');
  return { kind: 'datagram', datagram: { ...origin, payload } };
}

export function conversationMachine<Out>(conversation: Conversation<Out>): Machine<Out> {
  const lines = new LineReader();
  let held: Uint8Array = NO_BYTES;
  let next = conversation.next('');
  let waiting = false;
  return {
    step(input): Step<Out> {
      if (input.length > 0) held = held.length === 0 ? input : Buffer.concat([held, input]);
      for (;;) {
        if (next.done === true) return { kind: 'done', out: next.value, rest: held };
        if (next.value.kind === 'send') {
          if (!waiting) {
            waiting = true;
            return next.value;
          }
          waiting = false;
          next = conversation.next('');
          continue;
        }
        if (next.value.kind === 'bytes') {
          const { length } = next.value;
          if (held.length < length) return RECEIVE;
          const bytes = Buffer.from(held.subarray(0, length));
          held = held.subarray(length);
          next = conversation.next(bytes.toString('latin1'));
          continue;
        }
        const taken = lines.push(held);
        held = taken?.rest ?? NO_BYTES;
        if (taken === undefined) return RECEIVE;
        next = conversation.next(taken.line);
      }
    },
  };
}

function* ask(bytes: Uint8Array, subject: SamSubject): Conversation<SamReply> {
  yield { kind: 'send', bytes };
  return expectOk(yield* receiveLine(), subject);
}

function valueIn(reply: SamReply, name: string): string {
  const value = reply.values.get(name);
  if (value === undefined) throw unexpected(name);
  return value;
}

/** What the router calls a destination and we cannot read is the router's fault, not that of a name. */
function fromRouter<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new GateError(
      'router-protocol',
      'sam.destination-unreadable',
      'the SAM bridge sent a destination that cannot be read',
      {
        cause: error,
      },
    );
  }
}
