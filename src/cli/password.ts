/**
 * `garligate password`: a password becomes a line for `users` of a SOCKS listener. Read from the terminal, unseen, or from
 * standard input; never from an argument, which every user of the machine can see.
 */
import { randomBytes } from 'node:crypto';
import type { ReadStream } from 'node:tty';
import { isUserName } from '../config/values.ts';
import { abortError, GateError } from '../kit/errors.ts';
import { formatPasswordHash, hashPassword, LONGEST_CREDENTIAL, SALT_LENGTH } from '../wire/socks/password-hash.ts';
import type { Terminal } from './terminal.ts';

/** In octets of what a keyboard sends. */
const BACKSPACES = [0x08, 0x7f];
const CONTROL_C = 0x03;
const LINE_ENDS = [0x0a, 0x0d];
const END_OF_INPUT = 0x04;

/** @returns a text in the quotes of TOML. @throws GateError */
export async function userLine(
  name: string,
  input: ReadStream,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<string> {
  if (!isUserName(name)) {
    const wanted = `1 to ${LONGEST_CREDENTIAL} bytes without colons and control characters`;
    throw new GateError('config', 'password.name', `this cannot be the name of a user: ${wanted} are wanted`);
  }
  const password = await readPassword(input, terminal, signal);
  if (password.length === 0 || password.length > LONGEST_CREDENTIAL) {
    throw new GateError('config', 'password.length', `a password has 1 to ${LONGEST_CREDENTIAL} bytes (RFC 1929)`);
  }
  const hash = await hashPassword(password, randomBytes(SALT_LENGTH));
  return JSON.stringify(`${name}:${formatPasswordHash(hash)}`);
}

async function readPassword(input: ReadStream, terminal: Terminal, signal: AbortSignal): Promise<Buffer> {
  try {
    if (!input.isTTY) return await readLine(input, signal);
    input.setRawMode(true);
    terminal.complain('password (not shown):');
    const password = await readLine(input, signal);
    terminal.complain('again:');
    if (password.equals(await readLine(input, signal))) return password;
    throw new GateError('config', 'password.differs', 'the two passwords differ; nothing was made');
  } finally {
    if (input.isTTY) input.setRawMode(false);
    // Only now: a paused terminal is not read from again by adding a listener.
    input.pause();
  }
}

/** One line, without its end, as it was typed. What comes behind it stays in `input`. */
function readLine(input: ReadStream, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const typed: number[] = [];
    const finish = (settle: () => void) => {
      input.off('readable', onReadable);
      input.off('end', onEnd);
      input.off('error', onError);
      signal.removeEventListener('abort', onAbort);
      settle();
    };
    const onEnd = () => finish(() => resolve(Buffer.from(typed)));
    const onError = (error: Error) => finish(() => reject(error));
    const onAbort = () => finish(() => reject(abortError(signal, 'reading a password')));
    const onReadable = () => {
      for (let byte = readByte(input); byte !== undefined; byte = readByte(input)) {
        if (input.isTTY && byte === CONTROL_C) {
          return finish(() => reject(new GateError('cancelled', 'password.cancelled', 'no password was given')));
        }
        if (LINE_ENDS.includes(byte) || (input.isTTY && byte === END_OF_INPUT)) return onEnd();
        if (input.isTTY && BACKSPACES.includes(byte)) eraseCharacter(typed);
        // More than fits is told from what fits, and no more is kept.
        else if (typed.length <= LONGEST_CREDENTIAL) typed.push(byte);
      }
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    input.on('end', onEnd);
    input.on('error', onError);
    input.on('readable', onReadable);
  });
}

function readByte(input: ReadStream): number | undefined {
  const chunk: unknown = input.read(1);
  return chunk instanceof Uint8Array ? chunk[0] : undefined;
}

/** With the bytes that continue it in UTF-8. */
function eraseCharacter(typed: number[]): void {
  for (let byte = typed.pop(); byte !== undefined && (byte & 0xc0) === 0x80; byte = typed.pop());
}
