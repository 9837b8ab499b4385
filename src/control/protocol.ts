/**
 * The control protocol: one JSON object per line in both directions, over a unix socket. A request is
 * `{"v":1,"id":7,"method":"status","params":{}}`; its answer has the same id and either `ok` or an `error` with its kind,
 * code and message, and blanks before it when it takes long. Knows no socket.
 */
import { z } from 'zod';
import { asGateError, ERROR_KINDS, GateError } from '../kit/errors.ts';

const PROTOCOL_VERSION = 1;
/** Bytes in a request, the newline not counted. */
export const LONGEST_REQUEST = 64 * 1024;
/** A status of thousands of peers stays below it. Bytes. */
export const LONGEST_ANSWER = 16 * 1024 * 1024;

const requestShape = z.strictObject({
  v: z.literal(PROTOCOL_VERSION),
  id: z.int().nonnegative(),
  method: z.string().max(64),
  params: z.record(z.string(), z.unknown()).default({}),
});

const answerShape = z.union([
  z.strictObject({ id: z.int().nonnegative(), ok: z.unknown() }),
  z.strictObject({
    id: z.int().nonnegative().nullable(),
    error: z.object({
      // A gateway of another version may know others, or send none.
      kind: z.enum(ERROR_KINDS).catch('local-io'),
      code: z.string(),
      message: z.string(),
    }),
  }),
]);

export type ControlRequest = z.output<typeof requestShape>;
export type ControlAnswer = z.output<typeof answerShape>;

/** @throws GateError `client-protocol` */
export function parseRequest(line: string): ControlRequest {
  const parsed = requestShape.safeParse(parseJson(line));
  if (parsed.success) return parsed.data;
  throw new GateError(
    'client-protocol',
    'control.request',
    `not a request: {"v":${PROTOCOL_VERSION},"id":number,"method":text,"params":{}} is wanted; try the method "help"`,
  );
}

/**
 * For whoever relays HTTP to the socket: a page in a browser chooses the body, and no line of it may be taken for a request.
 *
 * @throws GateError `client-protocol` for the first line of a request of HTTP, which must end the connection
 */
export function refuseHttp(line: string): void {
  if (!/ HTTP\/\d/.test(line)) return;
  throw new GateError('client-protocol', 'control.http', 'the control socket does not speak HTTP');
}

/** @throws GateError `client-protocol` */
export function parseAnswer(line: string): ControlAnswer {
  const parsed = answerShape.safeParse(parseJson(line));
  if (parsed.success) return parsed.data;
  throw new GateError('client-protocol', 'control.answer', 'the gateway gave an answer that this version cannot read');
}

/** Sent while an answer takes long, since only writing shows whether anybody still waits for it. JSON knows no leading blank. */
export const SIGN_OF_LIFE = ' ';

export function encodeRequest(id: number, method: string, params: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify({ v: PROTOCOL_VERSION, id, method, params })}\n`;
}

export function encodeResult(id: number, result: unknown): string {
  return `${JSON.stringify({ id, ok: result ?? null })}\n`;
}

/** @param id of the request; null when it could not even be read */
export function encodeFailure(id: number | null, thrown: unknown, doing: string): string {
  const { kind, code, message } = asGateError(thrown, doing);
  // The text of a bug may hold anything, and the log has it.
  const text = kind === 'bug' ? 'an internal error; see the log' : message;
  return `${JSON.stringify({ id, error: { kind, code, message: text } })}\n`;
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // `undefined` fits no shape, and the shape's own error says what is wanted.
    return undefined;
  }
}
