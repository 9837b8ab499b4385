/**
 * The flow front: joins a peer's flow to a TCP service on our own VPN address. What a peer may reach by flow is what it
 * may reach by packet. Knows neither packets nor SOCKS.
 */
import type { Duplex } from 'node:stream';
import { createFramedStream } from '../../core/flow/framed-stream.ts';
import type { Peer } from '../../core/peers/table.ts';
import type { ConnectorPort } from '../../core/ports.ts';
import type { Relay } from '../../core/relay/report.ts';
import { createSharedController, firstOf } from '../../kit/abort.ts';
import { type Clock, within } from '../../kit/clock.ts';
import { drive } from '../../kit/drive.ts';
import { GateError } from '../../kit/errors.ts';
import { type Logger, logFailure } from '../../kit/log.ts';
import type { Service } from '../../kit/service.ts';
import { SlotsPerKey } from '../../kit/slots.ts';
import { createTally } from '../../kit/tally.ts';
import { type FlowStatus, flowAcceptMachine, flowAnswer } from '../../wire/flow/preface.ts';
import type { Address } from '../../wire/i2p/address.ts';

/** Our VPN address, and how to connect to it. */
interface LocalServices {
  readonly address: Address;
  readonly connector: ConnectorPort;
}

export interface FlowServerOptions {
  readonly relay: Relay;
  readonly clock: Clock;
  readonly log: Logger;
  /** Undefined where there is no TUN. */
  readonly local: LocalServices | undefined;
  /**
   * Whether this peer may reach this TCP port of ours, as the rules are now. Asked before anything is, so that a refusal
   * tells nothing else.
   */
  readonly mayReach: (peer: Peer, port: number) => boolean;
  readonly maxPerPeer: number;
  /** Of the gateway's session (core/session/label.ts). */
  readonly label: () => number;
  /** Told what the peer says of its own. */
  readonly labelHeard: (peer: Peer, stream: Duplex, label: number) => void;
}

const FLOW_COUNTERS = ['joined', 'refusedRule', 'refusedService', 'refusedLimit', 'failed'] as const;
export type FlowCounter = (typeof FLOW_COUNTERS)[number];

export interface FlowServer extends Service {
  take(peer: Peer, stream: Duplex): void;
  /** Ends every flow that the rules do not allow any more. */
  rulesChanged(): void;
  counters(): Readonly<Record<FlowCounter, number>>;
}

/** The preface comes in one segment with the first byte that brought the stream here. */
const PREFACE_MS = 20_000;
const CONNECT_MS = 20_000;
/** A refused stream is closed by the dialling side when it has read the answer; this is for one that does not. */
const REFUSED_LINGER_MS = 30_000;
/**
 * A peer whose router dies sends no end, so that only idleness tells. RFC 5382, section 5: no established connection may
 * be given up earlier.
 */
const IDLE_MS = 124 * 60_000;
/** Flows of one peer beyond its limit that are still given an answer; more are closed at once. */
const REFUSALS_PER_PEER = 32;

export function createFlowServer(options: FlowServerOptions): FlowServer {
  const { relay, clock, log, local } = options;
  const counts = createTally(FLOW_COUNTERS);
  const slots = new SlotsPerKey<Peer>(options.maxPerPeer);
  const refusals = new SlotsPerKey<Peer>(REFUSALS_PER_PEER);
  const stopping = createSharedController();
  const running = new Set<Promise<void>>();
  /** What a rule has let in. */
  const admitted = new Map<Duplex, { readonly peer: Peer; readonly port: number }>();

  const serve = async (peer: Peer, stream: Duplex, overLimit: boolean) => {
    try {
      const late = () =>
        new GateError('peer-timeout', 'flow.preface-late', 'a peer began a flow and did not finish its preface');
      const request = await drive(flowAcceptMachine(), stream, {
        doing: 'reading the preface of a flow',
        signal: stopping.signal,
        limit: { clock, ms: PREFACE_MS, late },
        onEnd: () => new GateError('peer-closed', 'flow.preface-closed', 'a peer began a flow and closed it'),
      });
      if (request.label !== undefined) options.labelHeard(peer, stream, request.label);
      if (overLimit) return await refuse(stream, 'busy', 'refusedLimit');
      if (!request.understood) return await refuse(stream, 'version', 'refusedService');
      if (request.port === 0 || !options.mayReach(peer, request.port)) {
        return await refuse(stream, 'forbidden', 'refusedRule');
      }
      admitted.set(stream, { peer, port: request.port });
      if (local === undefined) return await refuse(stream, 'unreachable', 'refusedService');
      // Before the service is asked: it need not hear of a flow that cannot be joined, and those that wait for one are bounded.
      const slot = relay.reserve();
      if (slot === undefined) return await refuse(stream, 'busy', 'refusedLimit');
      const service = await reach(local, request.port, stream);
      if (typeof service === 'string') {
        slot.leave();
        return await refuse(stream, service, 'refusedService');
      }
      stream.write(flowAnswer('joined', options.label()));
      counts.add('joined');
      await slot.join(
        { stream: createFramedStream(stream), halfClose: true },
        { stream: service, halfClose: true },
        { signal: stopping.signal, idleMs: IDLE_MS },
      );
    } catch (error) {
      counts.add('failed');
      stream.destroy();
      logFailure(log, error, 'serving a flow');
    } finally {
      admitted.delete(stream);
    }
  };

  /** @param asking the peer's stream: without it nobody waits for the service any more */
  const reach = async ({ address, connector }: LocalServices, port: number, asking: Duplex) => {
    const late = new GateError('peer-timeout', 'flow.service-late', 'a local service did not answer in time');
    const gone = new AbortController();
    const onClose = () =>
      gone.abort(new GateError('peer-closed', 'flow.left', 'the flow ended before its service answered'));
    asking.once('close', onClose);
    const over = firstOf(stopping.signal, gone.signal);
    try {
      return await within(clock, CONNECT_MS, late, over.signal, (signal) => connector.connect(address, port, signal));
    } catch (error) {
      const { kind } = logFailure(log, error, 'connecting to a local service');
      if (kind === 'peer-refused') return 'refused';
      if (kind === 'peer-timeout') return 'timeout';
      return kind === 'limit' ? 'busy' : 'unreachable';
    } finally {
      over.end();
      asking.off('close', onClose);
    }
  };

  /** The answer must arrive, and on I2P an early close could overtake it: so the other side closes. */
  const refuse = (stream: Duplex, status: FlowStatus, counter: FlowCounter) => {
    counts.add(counter);
    return new Promise<void>((resolve) => {
      const close = () => stream.destroy();
      const timer = clock.after(REFUSED_LINGER_MS, close);
      const done = () => {
        timer.cancel();
        stopping.signal.removeEventListener('abort', close);
        resolve();
      };
      stopping.signal.addEventListener('abort', close, { once: true });
      stream.once('close', done);
      stream.once('end', close);
      stream.write(flowAnswer(status, options.label()));
      stream.resume();
      // The peer, or `stop`, may have been quicker: no event comes for that any more.
      if (stopping.signal.aborted || stream.readableEnded) close();
      if (stream.closed) done();
    });
  };

  return {
    start: async () => {},
    stop: async () => {
      stopping.abort(new GateError('shutdown', 'shutdown', 'the gateway is stopping'));
      await Promise.all(running);
    },
    take: (peer, stream) => {
      const slot = slots.take(peer);
      const leave = slot ?? refusals.take(peer);
      if (leave === undefined) {
        counts.add('refusedLimit');
        stream.destroy();
        return;
      }
      const serving = serve(peer, stream, slot === undefined).finally(() => {
        running.delete(serving);
        leave();
      });
      running.add(serving);
    },
    rulesChanged: () => {
      for (const [stream, { peer, port }] of admitted) if (!options.mayReach(peer, port)) stream.destroy();
    },
    counters: () => counts.snapshot(),
  };
}
