/**
 * Datagrams on fake routers: the UDP port of the bridge, DATAGRAM SEND, and the two ways in which they arrive. Each router
 * keeps its manners: i2pd knows no ports, takes what stands behind a destination for a part of it, and on the control
 * connection wants line and payload in one read of 8192 bytes; Java I2P carries ports and reads as much as SIZE says.
 */
import { createSocket, type Socket } from 'node:dgram';
import { type Destination, parseDestination } from '../../../src/wire/i2p/destination.ts';
import type { Command } from './command.ts';
import type { Connection } from './connection.ts';
import type { Router } from './router.ts';
import type { FakeSession } from './session.ts';

export interface FakeDatagram {
  readonly from: FakeSession;
  readonly to: Destination;
  readonly fromPort: number;
  readonly toPort: number;
  readonly payload: Buffer;
}

/** What i2pd reads at once. */
const I2PD_READ = 8192;
/** i2pd's MAX_DATAGRAM_SIZE, for what comes over UDP with its line. */
const LARGEST_OVER_UDP = 32_768;

/** The UDP port of one router. */
export class DatagramPort {
  readonly #router: Router;
  #socket: Socket | undefined;
  #port = 0;

  constructor(router: Router) {
    this.#router = router;
  }

  /** Stays the same over a restart. */
  get port(): number {
    return this.#port;
  }

  listen(): Promise<void> {
    const socket = createSocket('udp4');
    socket.on('message', (bytes) => this.#received(bytes));
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(this.#port, '127.0.0.1', () => {
        // A client that is gone; what was for it is lost, as with a real router.
        socket.on('error', () => {});
        this.#port = socket.address().port;
        resolve();
      });
    });
  }

  close(): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    return new Promise((resolve) => {
      if (socket === undefined) resolve();
      else socket.close(() => resolve());
    });
  }

  send(bytes: Buffer, port: number, host: string): void {
    this.#socket?.send(bytes, port, host);
  }

  #received(bytes: Buffer): void {
    const end = bytes.indexOf(0x0a);
    if (end < 0 || bytes.length > LARGEST_OVER_UDP) return;
    const [, version, id = '', rest = ''] = /^(\S+) (\S+) (.*)$/.exec(bytes.toString('latin1', 0, end)) ?? [];
    const session = this.#router.sessions.get(id);
    if (version?.startsWith('3.') !== true || session === undefined) return;
    const [destination = '', ...options] = this.#router.temperament.datagramPorts ? rest.split(' ') : [rest];
    dispatch(this.#router, session, destination, new Map(options.map(pair)), bytes.subarray(end + 1));
  }
}

/** DATAGRAM SEND on the control connection of a session for datagrams. */
export function sendOnControl(router: Router, connection: Connection, session: FakeSession, { values }: Command): void {
  const size = Number(values.get('SIZE') ?? 0);
  const go = (payload: Buffer) => {
    dispatch(router, session, values.get('DESTINATION') ?? '', values, payload);
  };
  if (router.temperament.reads === 'lines') {
    connection.collect(size, go);
    return;
  }
  const rest = connection.takeRest();
  if (rest.length >= size && rest.length < I2PD_READ - (values.get('DESTINATION') ?? '').length) {
    go(rest.subarray(0, size));
  }
}

function dispatch(
  router: Router,
  from: FakeSession,
  destination: string,
  values: ReadonlyMap<string, string>,
  payload: Buffer,
): void {
  let to: Destination;
  try {
    to = parseDestination(destination);
  } catch {
    return; // No router says anything to this.
  }
  const port = (name: string) => (router.temperament.datagramPorts ? Number(values.get(name) ?? 0) : 0);
  router.network.send({
    from,
    to,
    fromPort: port('FROM_PORT'),
    toPort: port('TO_PORT'),
    payload: Buffer.from(payload),
  });
}

/** A datagram has come for a session of this router. */
export function deliver(router: Router, session: FakeSession, { from, fromPort, toPort, payload }: FakeDatagram): void {
  const { base64 } = from.request.destination;
  const ports = router.temperament.datagramPorts ? ` FROM_PORT=${fromPort} TO_PORT=${toPort}` : '';
  const { PORT: port, HOST: host = '127.0.0.1' } = session.request.options;
  if (port !== undefined) {
    router.datagrams.send(Buffer.concat([Buffer.from(`${base64}${ports}\n`), payload]), Number(port), host);
    return;
  }
  const line = `DATAGRAM RECEIVED DESTINATION=${base64} SIZE=${payload.length}${ports}\n`;
  if (router.temperament.reads === 'segments' && line.length + payload.length >= I2PD_READ) return;
  session.control.write(Buffer.concat([Buffer.from(line), payload]));
}

function pair(text: string): [string, string] {
  const [name = '', value = ''] = text.split('=', 2);
  return [name, value];
}
