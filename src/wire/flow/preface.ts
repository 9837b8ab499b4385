/**
 * The preface of a flow: the first bytes of an I2P stream that carries one TCP connection between two gateways of our
 * kind, and the answer to them. Written down in docs/protocol.md.
 *
 *     request: F6  version  port(2)  n  n bytes of extensions      answer: F6  version  status  n  n bytes of extensions
 *     extension: type  n  n bytes
 *
 * The first byte is one that no IPv6 or IPv4 packet has, so that a packet link and a flow are told apart by it.
 */
import { GateError } from '../../kit/errors.ts';
import { type Machine, NO_BYTES, RECEIVE, type Step } from '../../kit/step.ts';

export const FLOW_MARK = 0xf6;
const VERSION = 1;
const REQUEST_LENGTH = 5;
const ANSWER_LENGTH = 4;

/** On the wire as the index. `joined` is the only good one. */
const STATUSES = ['joined', 'refused', 'unreachable', 'timeout', 'forbidden', 'busy', 'version'] as const;
export type FlowStatus = (typeof STATUSES)[number];

/** Of the session that the sender speaks on: 20 bits in 3 bytes (core/session/label.ts). */
const LABEL_EXTENSION = 1;
const LABEL_LENGTH = 3;

export interface FlowAnswer {
  readonly status: FlowStatus;
  /** Of the answering side's session; undefined where it does not say. */
  readonly label: number | undefined;
}

/** The dialling side: sends the request, waits for the answer. @param label of our session, 20 bits */
export function flowRequestMachine(port: number, label: number): Machine<FlowAnswer> {
  const request = Buffer.concat([Buffer.from([FLOW_MARK, VERSION, port >> 8, port & 0xff]), extensions(label)]);
  let sent = false;
  let held: Uint8Array = NO_BYTES;
  return {
    step(input): Step<FlowAnswer> {
      if (!sent) {
        sent = true;
        return { kind: 'send', bytes: request };
      }
      held = Buffer.concat([held, input]);
      const [mark, version, code, length] = held;
      if (mark !== undefined && mark !== FLOW_MARK) throw notAFlow();
      if (version === undefined || code === undefined || length === undefined) return RECEIVE;
      const end = ANSWER_LENGTH + length;
      if (held.length < end) return RECEIVE;
      const rest = held.subarray(end);
      if (version !== VERSION) return { kind: 'done', out: { status: 'version', label: undefined }, rest };
      const status = STATUSES[code];
      if (status === undefined) throw notAFlow();
      return { kind: 'done', out: { status, label: labelIn(held.subarray(ANSWER_LENGTH, end)) }, rest };
    },
  };
}

export interface FlowRequest {
  /** The TCP port asked for, 0..65535; 0 is for the taker to refuse. */
  readonly port: number;
  /** False when the other side speaks a version that we do not. */
  readonly understood: boolean;
  /** Of the dialling side's session; undefined where it does not say. */
  readonly label: number | undefined;
}

/** The accepting side: waits for the request. The answer is sent later, when the service has been asked. */
export function flowAcceptMachine(): Machine<FlowRequest> {
  let held: Uint8Array = NO_BYTES;
  return {
    step(input): Step<FlowRequest> {
      held = Buffer.concat([held, input]);
      const [mark, version, high, low, length] = held;
      if (mark !== undefined && mark !== FLOW_MARK) throw notAFlow();
      if (version === undefined || high === undefined || low === undefined || length === undefined) return RECEIVE;
      const end = REQUEST_LENGTH + length;
      if (held.length < end) return RECEIVE;
      const understood = version === VERSION;
      const label = understood ? labelIn(held.subarray(REQUEST_LENGTH, end)) : undefined;
      return { kind: 'done', out: { port: (high << 8) | low, understood, label }, rest: held.subarray(end) };
    },
  };
}

/** @param label of our session, 20 bits */
export function flowAnswer(status: FlowStatus, label: number): Uint8Array {
  return Buffer.concat([Buffer.from([FLOW_MARK, VERSION, STATUSES.indexOf(status)]), extensions(label)]);
}

/** With their length ahead. */
function extensions(label: number): Buffer {
  const bytes = Buffer.from([2 + LABEL_LENGTH, LABEL_EXTENSION, LABEL_LENGTH, 0, 0, 0]);
  bytes.writeUIntBE(label, 3, LABEL_LENGTH);
  return bytes;
}

/** Extensions of other types are skipped, and so is one that is cut. */
function labelIn(all: Uint8Array): number | undefined {
  const bytes = Buffer.from(all);
  for (let at = 0; at + 2 <= bytes.length; at += 2 + (bytes[at + 1] ?? 0)) {
    const [type, length] = [bytes[at], bytes[at + 1]];
    const isThere = at + 2 + LABEL_LENGTH <= bytes.length;
    if (type === LABEL_EXTENSION && length === LABEL_LENGTH && isThere) return bytes.readUIntBE(at + 2, LABEL_LENGTH);
  }
  return undefined;
}

function notAFlow(): GateError {
  return new GateError('peer-protocol', 'flow.protocol', "the peer's gateway does not speak our flow protocol");
}
