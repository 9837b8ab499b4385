/**
 * The preface of a flow: the first bytes of an I2P stream that carries one TCP connection between two gateways of our
 * kind, and the answer to them. Written down in docs/protocol.md.
 *
 *     request: F6  version  port(2)  n  n bytes of extensions      answer: F6  version  status  n  n bytes of extensions
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

/** The dialling side: sends the request, waits for the answer. */
export function flowRequestMachine(port: number): Machine<FlowStatus> {
  const request = Buffer.from([FLOW_MARK, VERSION, port >> 8, port & 0xff, 0]);
  let sent = false;
  let held: Uint8Array = NO_BYTES;
  return {
    step(input): Step<FlowStatus> {
      if (!sent) {
        sent = true;
        return { kind: 'send', bytes: request };
      }
      held = Buffer.concat([held, input]);
      const [mark, version, status, extensions] = held;
      if (mark !== undefined && mark !== FLOW_MARK) throw notAFlow();
      if (version === undefined || status === undefined || extensions === undefined) return RECEIVE;
      const end = ANSWER_LENGTH + extensions;
      if (held.length < end) return RECEIVE;
      if (version !== VERSION) return { kind: 'done', out: 'version', rest: held.subarray(end) };
      const out = STATUSES[status];
      if (out === undefined) throw notAFlow();
      return { kind: 'done', out, rest: held.subarray(end) };
    },
  };
}

export interface FlowRequest {
  /** The TCP port asked for, 0..65535; 0 is for the taker to refuse. */
  readonly port: number;
  /** False when the other side speaks a version that we do not. */
  readonly understood: boolean;
}

/** The accepting side: waits for the request. The answer is sent later, when the service has been asked. */
export function flowAcceptMachine(): Machine<FlowRequest> {
  let held: Uint8Array = NO_BYTES;
  return {
    step(input): Step<FlowRequest> {
      held = Buffer.concat([held, input]);
      const [mark, version, high, low, extensions] = held;
      if (mark !== undefined && mark !== FLOW_MARK) throw notAFlow();
      if (version === undefined || high === undefined || low === undefined || extensions === undefined) return RECEIVE;
      const end = REQUEST_LENGTH + extensions;
      if (held.length < end) return RECEIVE;
      const out = { port: (high << 8) | low, understood: version === VERSION };
      return { kind: 'done', out, rest: held.subarray(end) };
    },
  };
}

export function flowAnswer(status: FlowStatus): Uint8Array {
  return Buffer.from([FLOW_MARK, VERSION, STATUSES.indexOf(status), 0]);
}

function notAFlow(): GateError {
  return new GateError('peer-protocol', 'flow.protocol', "the peer's gateway does not speak our flow protocol");
}
