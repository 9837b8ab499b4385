/**
 * Opens a TCP connection to a service of a peer without packets: an I2P stream whose preface names the port. Works
 * without a TUN on our side; the peer's gateway joins the stream to that port on its own VPN address.
 */
import type { Duplex } from 'node:stream';
import { type Clock, sleep } from '../../kit/clock.ts';
import { drive } from '../../kit/drive.ts';
import { asGateError, GateError } from '../../kit/errors.ts';
import { type FlowStatus, flowRequestMachine } from '../../wire/flow/preface.ts';
import type { RelayEnd } from '../dial/target.ts';
import type { Session } from '../session/session.ts';
import { createFramedStream } from './framed-stream.ts';

/** The stream is open when this starts; what remains is one round trip and a connect on the peer's machine. */
const ANSWER_DEADLINE_MS = 60_000;

/**
 * Java I2P refuses a stream while the peer's gateway is re-arming its accepts, which takes milliseconds; seen from i2pd it
 * then opens and ends at once. So a refusal of the stream, unlike one of the service, is tried again after these
 * pauses. Milliseconds.
 */
const REFUSED_RETRIES = [250, 500, 1_000];

/** What two gateways tell each other of the sessions that a flow is made on (session/label.ts). */
export interface FlowLabels {
  /** Ours, asked for when the stream stands: while it is opened the session may become another. */
  own(): number;
  /** The peer has answered on this stream; with its label where it says one. */
  answered(stream: Duplex, label: number | undefined): void;
}

export interface FlowDial {
  readonly session: Pick<Session, 'connect'>;
  /** Of the peer's gateway: a b32 name, or in base64. */
  readonly destination: string;
  /** TCP port of the service. */
  readonly port: number;
  readonly labels: FlowLabels;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** @throws GateError `peer-*`, `policy` as the peer answered, or of the session */
export async function dialFlow(dial: FlowDial): Promise<RelayEnd> {
  for (const pause of REFUSED_RETRIES) {
    try {
      return await openFlow(dial);
    } catch (error) {
      const { code } = asGateError(error, 'opening a connection to a peer');
      if (code !== 'sam.peer-refused' && code !== 'flow.closed') throw error;
      await sleep(dial.clock, pause, dial.signal);
    }
  }
  return openFlow(dial);
}

async function openFlow({ session, destination, port, labels, clock, signal }: FlowDial): Promise<RelayEnd> {
  const stream = await session.connect(destination, port, signal);
  try {
    const late = () =>
      new GateError(
        'peer-timeout',
        'flow.silent',
        "the peer's gateway did not answer; it may be offline or no gateway of our kind",
      );
    const { status, label } = await drive(flowRequestMachine(port, labels.own()), stream, {
      doing: 'opening a connection to a peer',
      signal,
      limit: { clock, ms: ANSWER_DEADLINE_MS, late },
      onEnd: () =>
        new GateError('peer-closed', 'flow.closed', "the peer's gateway closed the stream without an answer"),
    });
    labels.answered(stream, label);
    if (status !== 'joined') throw refusal(status);
    return { stream: createFramedStream(stream), halfClose: true };
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

function refusal(status: Exclude<FlowStatus, 'joined'>): GateError {
  switch (status) {
    case 'refused':
      return new GateError('peer-refused', 'flow.refused', 'nothing listens on this port of the peer');
    case 'unreachable':
      return new GateError('peer-unreachable', 'flow.unreachable', "the peer's gateway has no VPN address up");
    case 'timeout':
      return new GateError('peer-timeout', 'flow.timeout', 'the service of the peer did not answer its own gateway');
    case 'forbidden':
      return new GateError('policy', 'flow.forbidden', 'the peer does not let us use this port');
    case 'busy':
      return new GateError('limit', 'flow.busy', 'the peer has as many connections as it allows');
    case 'version':
      return new GateError(
        'unsupported',
        'flow.version',
        "the peer's gateway speaks another version of the flow protocol",
      );
    default:
      return status satisfies never;
  }
}
