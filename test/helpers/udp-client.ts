/**
 * A SOCKS5 client that asks for UDP ASSOCIATE and exchanges datagrams through the relay: all that such a client is takes
 * some forty lines. Real sockets on loopback.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, isIPv6, type Socket } from 'node:net';
import { parseUdpRequest } from '../../src/wire/socks/datagram.ts';
import { until } from './until.ts';

export interface Received {
  /** IPv6 address in hexadecimal, or a name. */
  readonly host: string;
  readonly port: number;
  readonly payload: Buffer;
}

/** RFC 1929. */
interface Credentials {
  readonly user: string;
  readonly password: string;
}

export class UdpClient {
  /** The connection that keeps the association. */
  readonly control: Socket;
  readonly udp: UdpSocket;
  /** Where datagrams are to be sent, as the reply says. */
  readonly relay: { readonly address: string; readonly port: number };
  readonly received: Received[] = [];

  private constructor(control: Socket, udp: UdpSocket, relay: UdpClient['relay']) {
    this.control = control;
    this.udp = udp;
    this.relay = relay;
    udp.on('message', (bytes) => {
      const parsed = parseUdpRequest(bytes);
      if (parsed.kind !== 'datagram') throw new Error(`the relay sent a ${parsed.kind} datagram`);
      const { host, port, payload } = parsed;
      this.received.push({ host: host.kind === 'name' ? host.name : host.bytes.toString('hex'), port, payload });
    });
  }

  /**
   * @param via of the SOCKS listener
   * @throws Error with the reply code, or when the server gives none; nothing stays open
   */
  static async associate(
    via: { readonly host: string; readonly port: number },
    credentials?: Credentials,
  ): Promise<UdpClient> {
    const udp = createSocket(isIPv6(via.host) ? 'udp6' : 'udp4');
    await new Promise<void>((resolve) => udp.bind({ address: via.host, port: 0 }, resolve));
    const control = connect({ host: via.host, port: via.port });
    control.on('error', () => {});
    try {
      return new UdpClient(control, udp, await ask(control, udp.address().port, credentials));
    } catch (error) {
      udp.close();
      control.destroy();
      throw error;
    }
  }

  send(host: string, port: number, payload: Uint8Array): void {
    this.sendRaw(Buffer.concat([udpHeader(host, port), payload]));
  }

  sendRaw(bytes: Uint8Array): void {
    this.udp.send(bytes, this.relay.port, this.relay.address);
  }

  /** The first one that fits, which is taken away. */
  async receive(what: string, fits: (one: Received) => boolean = () => true, timeoutMs = 10_000): Promise<Received> {
    await until(`${what} arrives`, () => this.received.some(fits), timeoutMs);
    const [one] = this.received.splice(this.received.findIndex(fits), 1);
    if (one === undefined) throw new Error('it was there a moment ago');
    return one;
  }

  close(): void {
    this.control.destroy();
    this.udp.close();
  }
}

/** @param host a name, an IPv4 address, or 32 hexadecimal digits of an IPv6 address */
export function udpHeader(host: string, port: number): Buffer {
  const portBytes = Buffer.of(port >> 8, port & 0xff);
  if (/^[0-9a-f]{32}$/.test(host)) return Buffer.concat([Buffer.of(0, 0, 0, 4), Buffer.from(host, 'hex'), portBytes]);
  if (/^[\d.]+$/.test(host)) return Buffer.concat([Buffer.of(0, 0, 0, 1, ...host.split('.').map(Number)), portBytes]);
  return Buffer.concat([Buffer.of(0, 0, 0, 3, host.length), Buffer.from(host), portBytes]);
}

/** @param port where the datagrams will come from */
async function ask(control: Socket, port: number, credentials?: Credentials): Promise<UdpClient['relay']> {
  const answered = collect(control);
  if (credentials === undefined) control.write(Buffer.of(5, 1, 0));
  else {
    const { user, password } = credentials;
    control.write(Buffer.of(5, 1, 2));
    await answered(2);
    const words = [Buffer.of(1, user.length), Buffer.from(user), Buffer.of(password.length), Buffer.from(password)];
    control.write(Buffer.concat(words));
  }
  await answered(2);
  control.write(Buffer.of(5, 3, 0, 1, 0, 0, 0, 0, port >> 8, port & 0xff));
  const [, code = 0xff, , type] = await answered(4);
  const bound = await answered(type === 4 ? 18 : 6);
  if (code !== 0) throw new Error(`UDP ASSOCIATE was answered with ${code}`);
  const host = bound.subarray(0, -2);
  const address = type === 4 ? (host.toString('hex').match(/.{4}/g) ?? []).join(':') : [...host].join('.');
  return { address, port: bound.readUInt16BE(host.length) };
}

/** Gives so many bytes at a time, and no more. */
function collect(socket: Socket): (length: number) => Promise<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  let over = false;
  socket.on('data', (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
  });
  socket.on('close', () => {
    over = true;
  });
  return async (length) => {
    await until('the SOCKS server answers', () => held.length >= length || over);
    if (held.length < length) throw new Error('the SOCKS server closed');
    const bytes = held.subarray(0, length);
    held = held.subarray(length);
    return bytes;
  };
}
