/**
 * SAM replies: one line into a subject and its values, and a RESULT into an error. What each router means by a RESULT
 * was seen on i2pd 2.45.1, i2pd 2.59.0 and Java I2P; the three share words but not their meaning, hence the message texts.
 */
import { type ErrorKind, GateError } from '../../kit/errors.ts';

export interface SamReply {
  /** The first two words, such as `STREAM STATUS`. */
  readonly subject: string;
  readonly values: ReadonlyMap<string, string>;
}

/** Never throws: a line that is not a reply has a subject that nobody expects. */
export function parseReply(line: string): SamReply {
  const [first = '', second = ''] = line.split(' ', 2);
  const values = new Map<string, string>();
  // A value may be quoted, hold `=` itself, or be missing. Words without `=` are matched too, and ignored: looking for a
  // pair from each of their letters on would take quadratic time.
  for (const match of line.matchAll(/([^\s="]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))|\S+/g)) {
    const [, name, quoted, bare = ''] = match;
    if (name !== undefined && !values.has(name))
      values.set(name, quoted === undefined ? bare : quoted.replaceAll(/\\(.)/g, '$1'));
  }
  return { subject: `${first} ${second}`, values };
}

/** What the command was about: the same RESULT means another thing to each. */
export type SamSubject = 'HELLO REPLY' | 'SESSION STATUS' | 'STREAM STATUS' | 'NAMING REPLY' | 'DEST REPLY';

/**
 * @returns the reply when it is of the subject and its RESULT is OK
 * @throws GateError otherwise
 */
export function expectOk(line: string, subject: SamSubject): SamReply {
  const reply = parseReply(line);
  if (reply.subject !== subject) {
    // i2pd reports a STREAM command on a used socket as SESSION STATUS, so a RESULT counts more than its subject.
    const result = reply.values.get('RESULT');
    if (result === undefined || result === 'OK') throw unexpected(subject);
  }
  const result = reply.values.get('RESULT');
  // DEST REPLY has no RESULT when it succeeds.
  if (result === 'OK' || (result === undefined && subject === 'DEST REPLY')) return reply;
  throw refusal(subject, result ?? '', reply.values.get('MESSAGE') ?? '');
}

/** Has the router said no, in a word? Whatever else ends a conversation leaves open what it has done. */
export function isRefusal(thrown: unknown): boolean {
  const result = thrown instanceof GateError ? thrown.facts['result'] : undefined;
  return result !== undefined && result !== NO_WORD;
}

export function unexpected(subject: string): GateError {
  return new GateError(
    'router-protocol',
    'sam.unexpected',
    `the SAM bridge did not answer with ${subject}; is it really a SAM bridge?`,
  );
}

/** In place of a RESULT that is missing, or is none. */
const NO_WORD = '?';

interface Meaning {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly text: string;
}

function refusal(subject: SamSubject, result: string, message: string): GateError {
  const { kind, code, text } = meaning(subject, result, message);
  // MESSAGE can quote names and keys, so it never becomes part of ours.
  return new GateError(kind, code, text, { facts: { result: /^[A-Z0-9_]{1,40}$/.test(result) ? result : NO_WORD } });
}

function meaning(subject: SamSubject, result: string, message: string): Meaning {
  switch (subject) {
    case 'HELLO REPLY':
      return result === 'NOVERSION'
        ? {
            kind: 'router-refused',
            code: 'sam.version',
            text: 'the router speaks no SAM version from 3.1 to 3.3; update it',
          }
        : /auth|password/i.test(message)
          ? {
              kind: 'router-refused',
              code: 'sam.authorization',
              text: 'the SAM bridge wants another user or password; see router.user',
            }
          : { kind: 'router-refused', code: 'sam.hello', text: 'the SAM bridge refused the greeting' };
    case 'SESSION STATUS':
      return sessionMeaning(result, message);
    case 'STREAM STATUS':
      return streamMeaning(result, message);
    case 'NAMING REPLY':
      return result === 'KEY_NOT_FOUND' || result === 'INVALID_KEY' || result === 'LEASESET_NOT_FOUND'
        ? { kind: 'name-unknown', code: 'sam.name-unknown', text: "the router's address book does not know this name" }
        : { kind: 'router-refused', code: 'sam.naming', text: 'the router could not look the name up' };
    case 'DEST REPLY':
      return { kind: 'router-refused', code: 'sam.generate', text: 'the router could not make a destination' };
    default:
      return subject satisfies never;
  }
}

function sessionMeaning(result: string, message: string): Meaning {
  // The specification's word, i2pd's and Java's text for the same thing.
  if (result === 'DUPLICATED_DEST' || /duplicate destination/i.test(message)) {
    return {
      kind: 'router-refused',
      code: 'sam.duplicated-destination',
      text: 'the router still holds a session with this key: another program uses it, or an old session has not ended yet',
    };
  }
  switch (result) {
    case 'DUPLICATED_ID':
      return {
        kind: 'router-refused',
        code: 'sam.duplicated-id',
        text: 'the router holds a session with this name already',
      };
    case 'INVALID_KEY':
      return {
        kind: 'config',
        code: 'sam.key-invalid',
        text: 'the router refuses the private key; restore the key file or make a new one',
      };
    case 'TIMEOUT':
      return {
        kind: 'router-refused',
        code: 'sam.session-timeout',
        text: 'the router could not build tunnels in time',
      };
    default:
      return { kind: 'router-refused', code: 'sam.session', text: 'the router refused to create a session' };
  }
}

function streamMeaning(result: string, message: string): Meaning {
  switch (result) {
    case 'CANT_REACH_PEER':
      // Java I2P: nobody accepts at the other side.
      return /reset|refused/i.test(message)
        ? {
            kind: 'peer-refused',
            code: 'sam.peer-refused',
            text: 'the destination is there but refuses the connection',
          }
        : {
            kind: 'peer-unreachable',
            code: 'sam.peer-unreachable',
            text: 'the destination cannot be reached: it is offline or unknown',
          };
    case 'PEER_NOT_FOUND':
    case 'LEASESET_NOT_FOUND':
      return { kind: 'peer-unreachable', code: 'sam.peer-unreachable', text: 'the destination is offline or unknown' };
    case 'TIMEOUT':
      return { kind: 'peer-timeout', code: 'sam.peer-timeout', text: 'the destination did not answer in time' };
    case 'INVALID_KEY':
      // Java I2P says so of a b32 name without a lease set.
      return /lease ?set not found/i.test(message)
        ? { kind: 'peer-unreachable', code: 'sam.peer-unreachable', text: 'the destination is offline or unknown' }
        : {
            kind: 'name-invalid',
            code: 'sam.destination-invalid',
            text: 'the router does not take this for a destination',
          };
    case 'INVALID_ID':
      return { kind: 'session-lost', code: 'sam.session-unknown', text: 'the router has dropped the session' };
    default:
      return { kind: 'router-refused', code: 'sam.stream', text: 'the router refused the stream' };
  }
}
