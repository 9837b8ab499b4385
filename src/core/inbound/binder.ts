/**
 * Lets a client await a stream on a session: the gateway's own, whose accepts are armed anyway, or one of its identities,
 * on which accepts are armed from the first such client on, until the session ends. They are not given up before that,
 * since closing an armed accept can swallow a stream that is meant for another.
 */
import { createSharedController } from '../../kit/abort.ts';
import { abortError, GateError } from '../../kit/errors.ts';
import type { Service } from '../../kit/service.ts';
import { Shares } from '../../kit/shares.ts';
import type { B32, Destination } from '../../wire/i2p/destination.ts';
import type { RelayEnd } from '../dial/target.ts';
import type { PeerTable } from '../peers/table.ts';
import type { Acceptor, InboundStream } from '../session/acceptor.ts';
import { keyText, mayReachPeers, type SessionKey } from '../session/key.ts';
import type { Lease, SessionManager } from '../session/manager.ts';
import type { Session } from '../session/session.ts';
import { type AwaitedFrom, type AwaitedStreams, createAwaitedStreams, type Expectation } from './awaited.ts';

export interface BindOptions {
  readonly from: AwaitedFrom;
  /** The port to have if it is free; 0 for any. */
  readonly port: number;
  readonly session: SessionKey;
  /** Who wants it, over whatever session: of the streams that are awaited each has a share. */
  readonly asker: SessionKey;
  /** Until the stream can come. */
  readonly signal: AbortSignal;
}

export interface Arrival {
  readonly end: RelayEnd;
  readonly from: Destination;
  /** Undefined where the bridge does not tell. */
  readonly fromPort: number | undefined;
}

/** A place where a stream can come now. */
export interface Bound {
  /** Whom the other side has to call. */
  readonly me: Destination;
  readonly port: number;
  /** Once. @throws GateError `session-lost`, or the abort of the signal */
  arrival(signal: AbortSignal): Promise<Arrival>;
  /** Must be called where the stream was not had, and only there. */
  close(): void;
}

export interface Binder extends Service {
  /** @throws GateError `limit`, `policy` for a peer where its streams are not for clients, or of the session */
  bind(options: BindOptions): Promise<Bound>;
}

export interface BinderParts {
  readonly sessions: Pick<SessionManager, 'lease'>;
  readonly peers: PeerTable;
  /** The gateway's own destination, which sends streams to itself. */
  readonly own: B32;
  /** What the gateway's own session has already. */
  readonly gateway: AcceptingSession;
  /** Accepts for another session. */
  readonly acceptor: (session: Session, take: (inbound: InboundStream) => void) => Acceptor;
  /** A stream that nobody awaits. */
  readonly refuse: (inbound: InboundStream) => void;
}

export interface AcceptingSession {
  readonly acceptor: Pick<Acceptor, 'whenArmed'>;
  readonly awaited: AwaitedStreams;
}

/** Streams awaited at one time, on all sessions together. */
const MOST_AWAITED = 64;

export function createBinder({ sessions, peers, own, gateway, acceptor, refuse }: BinderParts): Binder {
  const places = new WeakMap<Session, AcceptingSession>();
  const running = new Set<Acceptor>();
  const stopping = createSharedController();
  const shares = new Shares(MOST_AWAITED);

  const placeOn = async (session: Session): Promise<AcceptingSession> => {
    const known = places.get(session);
    if (known !== undefined) return known;
    const awaited = createAwaitedStreams();
    const accepting = acceptor(session, (inbound) => {
      if (!awaited.offer(inbound)) refuse(inbound);
    });
    const place = { acceptor: accepting, awaited };
    places.set(session, place);
    running.add(accepting);
    session.onState(({ kind }) => {
      if (kind !== 'closed') return;
      running.delete(accepting);
      void accepting.stop();
    });
    await accepting.start(stopping.signal);
    return place;
  };

  const isPeer = (b32: B32) => b32 === own || peers.byOrigin(b32) !== undefined;

  /** Strangers' streams to the gateway are for the VPN too where a peer may come from anywhere. */
  const isForTheVpn = (from: AwaitedFrom) => (typeof from === 'string' ? isPeer(from) : peers.hasUnverified);

  /** May somebody's stream be a client's, by the rules about peers as they are now? */
  const admits = (from: AwaitedFrom, key: SessionKey, b32: B32): boolean => {
    if (key.kind === 'gateway') return !isPeer(b32) && !isForTheVpn(from);
    return mayReachPeers(key) || !isPeer(b32);
  };

  /** @throws GateError `policy` where nobody may come whom the client awaits */
  const demandAdmitted = (from: AwaitedFrom, key: SessionKey) => {
    if (key.kind === 'gateway' && isForTheVpn(from)) throw forTheVpn();
    if (typeof from === 'string' && !admits(from, key, from)) throw strangeToPeers();
  };

  return {
    start: async () => {},
    stop: async () => {
      stopping.abort(new GateError('shutdown', 'shutdown', 'the gateway is stopping'));
      await Promise.all([...running].map((accepting) => accepting.stop()));
    },
    bind: async ({ from, port, session: key, asker, signal }) => {
      demandAdmitted(from, key);
      const giveBack = shares.take(keyText(asker));
      if (giveBack === undefined) {
        throw new GateError(
          'limit',
          'inbound.limit',
          `as many streams are awaited as may be, ${MOST_AWAITED} in all or fewer for this one client; try again later`,
        );
      }
      let lease: Lease | undefined;
      try {
        lease = sessions.lease(key);
        const place = key.kind === 'gateway' ? gateway : await placeOn(lease.session);
        const { me, over } = await lease.session.ready(signal);
        await place.acceptor.whenArmed(signal);
        const wanted = { from, admits: (b32: B32) => admits(from, key, b32), port };
        return await boundPlace(me, over, lease, giveBack, (take) => place.awaited.expect(wanted, take));
      } catch (error) {
        giveBack();
        lease?.release();
        throw error;
      }
    },
  };
}

function forTheVpn(): GateError {
  return new GateError(
    'policy',
    'inbound.peer',
    "a peer's streams to the gateway are for the VPN; await it with credentials, on another identity",
  );
}

function strangeToPeers(): GateError {
  return new GateError(
    'policy',
    'inbound.peer',
    'peers know this gateway by its own destination only; await one with credentials on a listener with identity = "gateway"',
  );
}

/** @param free called as soon as nothing is awaited any more */
function boundPlace(
  me: Destination,
  over: AbortSignal,
  lease: Lease,
  free: () => void,
  expect: (take: (inbound: InboundStream) => void) => Expectation,
): Bound {
  let arrived: InboundStream | undefined;
  let tell = () => {};
  const expectation = expect((inbound) => {
    free();
    arrived = inbound;
    // The stream holds its session: an isolated one must not end under it.
    inbound.stream.on('close', lease.release);
    if (inbound.stream.destroyed) lease.release();
    tell();
  });
  const take = (): Arrival | undefined => {
    if (arrived === undefined) return undefined;
    const { stream, from, fromPort } = arrived;
    arrived = undefined;
    return { end: { stream, halfClose: false }, from, fromPort };
  };
  return {
    me,
    port: expectation.port,
    arrival: (signal) =>
      new Promise((resolve, reject) => {
        const settle = () => {
          const arrival = take();
          if (arrival === undefined && !signal.aborted && !over.aborted) return;
          signal.removeEventListener('abort', settle);
          over.removeEventListener('abort', settle);
          if (arrival !== undefined) resolve(arrival);
          else reject(abortError(signal.aborted ? signal : over, 'waiting for a stream'));
        };
        tell = settle;
        signal.addEventListener('abort', settle, { once: true });
        over.addEventListener('abort', settle, { once: true });
        settle();
      }),
    close: () => {
      expectation.cancel();
      free();
      const unclaimed = arrived;
      arrived = undefined;
      if (unclaimed === undefined) lease.release();
      else unclaimed.stream.destroy();
    },
  };
}
