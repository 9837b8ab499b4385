/** Runs a SOCKS machine over chunks as a driver would, and describes what came of it in comparable values. */
import type { Machine } from '../../../../src/kit/step.ts';
import type { SocksHandshake, SocksLogin } from '../../../../src/wire/socks/handshake.ts';
import { encodeReply } from '../../../../src/wire/socks/reply.ts';
import { credentialsOf } from '../../../../src/wire/socks/request.ts';

export function hex(text: string): Buffer {
  return Buffer.from(text.replace(/\s/g, ''), 'hex');
}

export function spaced(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/..(?=.)/g, '$& ');
}

export interface Fed<Out> {
  readonly sent: Buffer;
  /** Absent while the machine wants more. */
  readonly out: Out | undefined;
  /** Everything behind the end, what was never fed included. */
  readonly rest: Buffer;
  /** Bytes that the machine had been given when it ended, or all of them. */
  readonly taken: number;
}

export function feed<Out>(machine: Machine<Out>, chunks: readonly Uint8Array[]): Fed<Out> {
  const sent: Uint8Array[] = [];
  const left = [...chunks];
  let taken = 0;
  let input: Uint8Array = new Uint8Array(0);
  for (;;) {
    const step = machine.step(input);
    input = new Uint8Array(0);
    if (step.kind === 'done') {
      return { sent: Buffer.concat(sent), out: step.out, rest: Buffer.concat([step.rest, ...left]), taken };
    }
    if (step.kind === 'send') {
      sent.push(step.bytes);
      continue;
    }
    const next = left.shift();
    if (next === undefined) return { sent: Buffer.concat(sent), out: undefined, rest: Buffer.alloc(0), taken };
    input = next;
    taken += next.length;
  }
}

export function oneByOne(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (byte) => Uint8Array.of(byte));
}

/** The result as plain values: secrets and errors compare by what they hold. */
export function describe(handshake: SocksHandshake | SocksLogin | undefined): object {
  switch (handshake?.kind) {
    case undefined:
      return { kind: 'wants more' };
    case 'http':
      return handshake;
    case 'login': {
      const { user, password } = handshake.credentials.reveal();
      return { kind: handshake.kind, user: user.toString('latin1'), password: password.toString('latin1') };
    }
    case 'unintelligible':
      return { kind: handshake.kind, code: handshake.error.code };
    case 'refused':
      return { kind: handshake.kind, reply: spaced(handshake.reply), code: handshake.error.code };
    case 'request-refused': {
      const { form, failure, error } = handshake;
      const reply = encodeReply(form, failure);
      return { kind: 'refused', reply: form === 'http' ? String(reply) : spaced(reply), code: error.code };
    }
    case 'request': {
      const { request } = handshake;
      const host = request.host.kind === 'name' ? request.host.name : spaced(request.host.bytes);
      const credentials = credentialsOf(request)?.reveal();
      return {
        kind: request.dialect,
        ...(request.command !== 'connect' && { command: request.command }),
        [request.host.kind]: host,
        ...('port' in request && { port: request.port }),
        ...(credentials && { user: spaced(credentials.user), password: spaced(credentials.password) }),
      };
    }
    default:
      return handshake satisfies undefined;
  }
}
