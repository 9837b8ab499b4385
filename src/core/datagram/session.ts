/**
 * A SAM session that carries repliable datagrams, shared by everybody who has the same identity. Its destination is its
 * own and dies with it: no router but Java I2P lets datagrams use the destination of a stream session (docs/adr/0017).
 */
import type { Duplex } from 'node:stream';
import { unlessAborted } from '../../kit/abort.ts';
import type { Clock, Timer } from '../../kit/clock.ts';
import { GateError } from '../../kit/errors.ts';
import { type Logger, logDefect } from '../../kit/log.ts';
import { createTally } from '../../kit/tally.ts';
import type { Destination } from '../../wire/i2p/destination.ts';
import {
  encodeForControl,
  encodeForUdp,
  type OutgoingDatagram,
  parseForwarded,
  type SamDatagram,
} from '../../wire/sam/datagram.ts';
import type { DatagramBridgePort, UdpSocket } from '../ports.ts';
import {
  type ReadySession,
  type SessionCarrier,
  type SessionEnvironment,
  SessionLife,
  type SessionSettings,
  type SessionState,
} from '../session/life.ts';
import type { RouterKind } from '../session/router-kind.ts';
import { type Attached, Attachments } from './attachments.ts';

/** SAM v3: a repliable datagram has 1 to 31744 bytes. What is near that is lost more often: it is cut into many messages. */
const LARGEST = 31_744;
/** i2pd reads a datagram from the control connection only if it comes whole in one read of 8192 bytes. */
const LARGEST_ON_CONTROL_OF_I2PD = 7_600;
/** Bytes that may wait on the control connection, for a router that does not read it. */
const MOST_WAITING_ON_CONTROL = 256 * 1024;
/** A router that has died closes the control connection within this; then the refused UDP port says nothing. */
const REFUSAL_PROOF_MS = 500;

/** What became of a datagram that was to be sent. */
export type SendOutcome =
  | 'sent'
  /** There is no session at the moment, or the user has left it: wait for `ready`. */
  | 'not-ready'
  /** The transport to this router carries no datagram of this size. */
  | 'too-large'
  /** The router, or the kernel before it, takes no more at the moment. */
  | 'busy';

/** Datagrams that came to the session and to nobody in it. */
export const SESSION_DROPS = [
  /** Not as SAM says. */
  'unreadable',
  'nobody',
  'ambiguous',
] as const;

/** One user of the session. */
export interface Attachment extends Attached {
  /** Until `detach`. */
  readonly attached: boolean;
  /** Resolves when datagrams can be sent, however often the session has to be tried. @throws GateError when it never will */
  ready(signal: AbortSignal): Promise<void>;
  /** @param toPort 0 to 65535; reaches the receiver only through routers that carry ports */
  send(destination: Destination, toPort: number, payload: Buffer): SendOutcome;
  /** Idempotent. */
  detach(): void;
}

export type TakeDatagram = (datagram: SamDatagram) => void;

/** How datagrams get to the router: over UDP, or on the control connection. */
interface Transport {
  readonly largest: number;
  send(datagram: Omit<OutgoingDatagram, 'ports'>, ports: { readonly from: number; readonly to: number }): boolean;
}

export class DatagramSession {
  readonly #bridge: DatagramBridgePort;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #life: SessionLife;
  readonly #users = new Attachments<Attachment & { readonly take: TakeDatagram }>();
  readonly #drops = createTally(SESSION_DROPS);
  /** The router has refused its UDP port: its TCP connection must do. */
  #udpRefused = false;
  #transport: Transport | undefined;

  constructor(settings: SessionSettings, environment: SessionEnvironment & { readonly bridge: DatagramBridgePort }) {
    this.#bridge = environment.bridge;
    this.#clock = environment.clock;
    this.#log = environment.log;
    this.#life = new SessionLife((signal) => this.#openCarrier(signal), settings, environment);
  }

  get state(): SessionState {
    return this.#life.state;
  }

  /** Users at this moment. */
  get users(): number {
    return this.#users.size;
  }

  drops(): Readonly<Record<(typeof SESSION_DROPS)[number], number>> {
    return this.#drops.snapshot();
  }

  open(): void {
    this.#life.open();
  }

  close(): Promise<void> {
    return this.#life.close();
  }

  /**
   * @param wantedPort the I2P port to have if it is free in this session; 0 for any
   * @param take must not throw
   * @throws GateError `limit` when there is no port left
   */
  attach(wantedPort: number, take: TakeDatagram): Attachment {
    return this.#users.add(wantedPort, (port) => {
      let isAttached = true;
      const user = {
        port,
        take,
        get attached() {
          return isAttached;
        },
        ready: async (signal: AbortSignal) => {
          if (!isAttached)
            throw new GateError('cancelled', 'datagram.detached', 'nobody sends datagrams here any more');
          // Until that is known, it is not known either how the router wants its datagrams. A build may be over before.
          let router: RouterKind | undefined;
          while (router === undefined) {
            // Cuts a pause short where that is allowed, and waits for its end where it is not.
            const session = await this.#life.ready(signal).catch(() => this.#life.readySomeTime(signal));
            router = await unlessAborted(session.router, signal, 'asking which router it is');
          }
        },
        send: (destination: Destination, toPort: number, payload: Buffer): SendOutcome => {
          const transport = this.#transport;
          const { state } = this;
          if (!isAttached || transport === undefined || state.kind !== 'ready') return 'not-ready';
          if (payload.length > transport.largest) return 'too-large';
          const taken = transport.send({ id: state.session.id, destination, payload }, { from: port, to: toPort });
          if (!taken) return 'busy';
          this.#users.sent(user, destination.b32);
          return 'sent';
        },
        detach: () => {
          isAttached = false;
          this.#users.remove(user);
        },
      };
      return user;
    });
  }

  async #openCarrier(signal: AbortSignal): Promise<SessionCarrier> {
    const socket = this.#udpRefused ? undefined : await this.#bridge.openDatagrams(signal);
    let stopListening = () => {};
    return {
      style: { kind: 'datagram', forwardTo: socket?.local },
      take: (datagram) => this.#deliver(datagram),
      begin: (session, control) => {
        if (socket !== undefined) stopListening = this.#listen(socket, session);
        void session.router.then((router) => {
          if (router === undefined || session.over.aborted) return;
          this.#transport = socket === undefined ? controlTransport(control, router) : udpTransport(socket, router);
        });
      },
      end: () => {
        this.#transport = undefined;
        stopListening();
        socket?.close();
      },
    };
  }

  /** @returns how to end what waits for it; the socket is the caller's */
  #listen(socket: UdpSocket, session: ReadySession): () => void {
    socket.onDatagram((bytes) => {
      let datagram: SamDatagram;
      try {
        datagram = parseForwarded(bytes);
      } catch (error) {
        logDefect(this.#log, error, 'reading a datagram');
        this.#drops.add('unreadable');
        return;
      }
      this.#deliver(datagram);
    });
    let doubt: Timer | undefined;
    socket.onError(({ facts }) => {
      if (facts['errno'] !== 'ECONNREFUSED' || doubt !== undefined) return;
      doubt = this.#clock.after(REFUSAL_PROOF_MS, () => {
        doubt = undefined;
        if (session.over.aborted) return;
        this.#udpRefused = true;
        session.gone(
          new GateError(
            'session-lost',
            'sam.udp-refused',
            'the router takes no datagrams over UDP: they go over its TCP connection, up to some 7 KB each; see router.udp',
          ),
        );
      });
    });
    return () => doubt?.cancel();
  }

  #deliver(datagram: SamDatagram): void {
    const user = this.#users.receiver(datagram.sender.b32, datagram.ports.to);
    if (user === 'nobody' || user === 'ambiguous') this.#drops.add(user);
    else user.take(datagram);
  }
}

/** Java I2P alone takes ports: i2pd takes them for a part of the destination. */
function takesPorts(router: RouterKind): boolean {
  return router === 'java';
}

function udpTransport(socket: UdpSocket, router: RouterKind): Transport {
  return {
    largest: LARGEST,
    send: (datagram, ports) =>
      socket.send(encodeForUdp({ ...datagram, ports: takesPorts(router) ? ports : undefined })),
  };
}

function controlTransport(control: Duplex, router: RouterKind): Transport {
  return {
    largest: router === 'i2pd' ? LARGEST_ON_CONTROL_OF_I2PD : LARGEST,
    send: (datagram, ports) => {
      if (control.destroyed || control.writableLength > MOST_WAITING_ON_CONTROL) return false;
      control.write(encodeForControl({ ...datagram, ports: takesPorts(router) ? ports : undefined }));
      return true;
    },
  };
}
