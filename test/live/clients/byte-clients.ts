/**
 * Clients that cannot be had as a Debian package of reasonable size, played byte by byte: what they send, in the pieces in
 * which they send it, and what they insist on in the answers. And the npm package `socks`, which is one for Node.
 */
import type { Socket } from 'node:net';
import { SocksClient } from 'socks';
import { readExactly } from '../../../scripts/lab/sam-client.ts';
import { fetchPage } from '../../../scripts/lab/web-client.ts';
import { type ClientLab, connectProxy } from './lab.ts';

type Credentials = { readonly user: string; readonly password: string };

/** i2pd 2.45.1 answers for a new identity after 20, 40 or 60 s. */
const PATIENCE_MS = 110_000;
const B32_LENGTH = 52;
/** What Java shows of itself where nobody has set credentials. */
const JAVA_LOGIN = { user: 'login', password: '' };
const SOCKS4_GRANTED = 0x5a;
const NO_AUTHENTICATION = 0;
const USER_AND_PASSWORD = 2;
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;

/**
 * golang.org/x/net/internal/socks, which golang.org/x/net/proxy uses: each message in one write, and every field of the
 * answers checked, the reserved one too.
 */
export async function fetchLikeGo(lab: ClientLab, host: string, credentials?: Credentials): Promise<string> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const socket = await connectProxy(lab.unixProxies.gateway);
  const methods = credentials === undefined ? [NO_AUTHENTICATION] : [NO_AUTHENTICATION, USER_AND_PASSWORD];
  socket.write(Buffer.from([5, methods.length, ...methods]));
  const chosen = await readExactly(socket, 2, signal);
  demand(chosen[0] === 5, `unexpected protocol version ${chosen[0]}`);
  demand(chosen[1] !== 0xff, 'no acceptable authentication methods');
  if (chosen[1] === USER_AND_PASSWORD && credentials !== undefined) {
    socket.write(Buffer.concat([Buffer.from([1]), counted(credentials.user), counted(credentials.password)]));
    const status = await readExactly(socket, 2, signal);
    demand(status[0] === 1, 'invalid username/password version');
    demand(status[1] === 0, 'username/password authentication failed');
  } else demand(chosen[1] === NO_AUTHENTICATION, `unsupported authentication method ${chosen[1]}`);

  socket.write(Buffer.concat([Buffer.from([5, 1, 0, NAME]), counted(host), Buffer.from([0, 80])]));
  const [version, code, reserved, type] = await readExactly(socket, 4, signal);
  demand(version === 5, `unexpected protocol version ${version}`);
  demand(code === 0, `unknown error reply ${code}`);
  demand(reserved === 0, 'non-zero reserved field');
  await readExactly(socket, addressLength(type, (await lengthByte(socket, type, signal))[0]) + 2, signal);
  return fetchPage(socket, host, signal);
}

/**
 * nsSOCKSSocketInfo of Firefox with `network.proxy.socks_remote_dns`: offers nothing but "no authentication", reads five
 * bytes of the reply first, which must hold the address type, and takes the first byte of the address as a length.
 */
export async function fetchLikeFirefox(lab: ClientLab, host: string): Promise<string> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const socket = await connectProxy(lab.unixProxies.gateway);
  socket.write(Buffer.from([5, 1, NO_AUTHENTICATION]));
  const chosen = await readExactly(socket, 2, signal);
  demand(chosen[0] === 5, 'not a SOCKS version 5 server');
  demand(chosen[1] === NO_AUTHENTICATION, 'server did not accept our authentication method');
  socket.write(Buffer.concat([Buffer.from([5, 1, 0, NAME]), counted(host), Buffer.from([0, 80])]));
  const [version, code, , type, first] = await readExactly(socket, 5, signal);
  demand(version === 5, 'unexpected version in the reply');
  demand(code === 0, `connection refused with code ${code}`);
  await readExactly(socket, addressLength(type, first) + (type === NAME ? 2 : 1), signal);
  return fetchPage(socket, host, signal);
}

/**
 * hev-socks5-tunnel with `pipeline`: greeting, credentials and request in one write, before anything is answered; then the
 * answers one after the other, the method and its success taken for granted.
 *
 * @param command UDP inside the TCP connection is 5, which nobody else knows
 */
export async function fetchLikeHev(
  lab: ClientLab,
  host: string,
  { credentials, command = 1 }: { readonly credentials?: Credentials; readonly command?: 1 | 5 } = {},
): Promise<string> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const socket = await connectProxy(lab.unixProxies.gateway);
  const login = credentials && [Buffer.from([1]), counted(credentials.user), counted(credentials.password)];
  const request = [Buffer.from([5, command, 0, NAME]), counted(host), Buffer.from([0, 80])];
  const method = login === undefined ? NO_AUTHENTICATION : USER_AND_PASSWORD;
  socket.write(Buffer.concat([Buffer.from([5, 1, method]), ...(login ?? []), ...request]));
  const chosen = await readExactly(socket, 2, signal);
  demand(chosen[0] === 5 && chosen[1] === method, `auth method ${chosen[1]}`);
  if (login !== undefined) demand((await readExactly(socket, 2, signal))[1] === 0, 'auth failed');
  const [, code, , type] = await readExactly(socket, 4, signal);
  demand(code === 0, `response ${code}`);
  await readExactly(socket, addressLength(type, 0) + 2, signal);
  return fetchPage(socket, host, signal);
}

/**
 * java.net.SocksSocketImpl: offers both methods without being set to, and where it is asked for a password shows the login
 * name and an empty one.
 */
export async function fetchLikeJava(lab: ClientLab, host: string): Promise<string> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const socket = await connectProxy(lab.unixProxies.gateway);
  socket.write(Buffer.from([5, 2, NO_AUTHENTICATION, USER_AND_PASSWORD]));
  const chosen = await readExactly(socket, 2, signal);
  demand(chosen[0] === 5, 'SOCKS : server is none of version 5');
  if (chosen[1] === USER_AND_PASSWORD) {
    socket.write(Buffer.concat([Buffer.from([1]), counted(JAVA_LOGIN.user), counted(JAVA_LOGIN.password)]));
    demand((await readExactly(socket, 2, signal))[1] === 0, 'SOCKS : authentication failed');
  } else demand(chosen[1] === NO_AUTHENTICATION, 'SOCKS : No acceptable methods');
  // Byte by byte into a buffer that is flushed at the end.
  socket.write(Buffer.concat([Buffer.from([5, 1, 0, NAME]), counted(host), Buffer.from([0, 80])]));
  const [, code, , type] = await readExactly(socket, 4, signal);
  demand(code === 0, `SOCKS: code ${code}`);
  await readExactly(socket, addressLength(type, (await lengthByte(socket, type, signal))[0]) + 2, signal);
  return fetchPage(socket, host, signal);
}

/** Version 4 of Java and .NET: the address that a name server gave, and the login name; no name. */
export async function fetchByVersion4(lab: ClientLab, address: string): Promise<string> {
  const octets = address.split('.').map(Number);
  return by4(lab, Buffer.from([4, 1, 0, 80, ...octets, ...Buffer.from('login'), 0]), address);
}

/** SocksHelper of .NET with socks4a: 0.0.0.255 announces a name. */
export async function fetchLikeDotNet4a(lab: ClientLab, host: string): Promise<string> {
  return by4(lab, Buffer.from([4, 1, 0, 80, 0, 0, 0, 255, 0, ...Buffer.from(host), 0]), host);
}

async function by4(lab: ClientLab, request: Buffer, host: string): Promise<string> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const socket = await connectProxy(lab.unixProxies.gateway);
  socket.write(request);
  const [version, code] = await readExactly(socket, 8, signal);
  demand(version === 0, `version ${version} in the reply`);
  demand(code === SOCKS4_GRANTED, `SOCKS request rejected: ${code}`);
  return fetchPage(socket, host, signal);
}

/** The npm package itself. Asks for names in version 4 as well (4a). */
export async function fetchByNode(
  lab: ClientLab,
  host: string,
  type: 4 | 5,
  credentials?: Credentials,
): Promise<string> {
  const socket = await connectByNode(lab, host, type, credentials);
  return fetchPage(socket, host, AbortSignal.timeout(PATIENCE_MS));
}

/** By whom the witness was called: the b32 that services see for these credentials. @param proxy a unix socket */
export async function seenAs(
  lab: ClientLab,
  credentials?: Credentials,
  proxy = lab.unixProxies.gateway,
): Promise<string> {
  // i2pd 2.45.1 says that a stream stands before the other side has answered, and gives up after a minute on one whose
  // first packet it could not deliver, as happens on tunnels that are new: then a person presses reload.
  return askWho(lab, proxy, credentials).catch(() => askWho(lab, proxy, credentials));
}

async function askWho(lab: ClientLab, proxy: string, credentials: Credentials | undefined): Promise<string> {
  const socket = await connectByNode(lab, lab.witness.host, 5, credentials, proxy);
  try {
    socket.write('Who am I?');
    return (await readExactly(socket, B32_LENGTH, AbortSignal.timeout(PATIENCE_MS))).toString();
  } finally {
    socket.destroy();
  }
}

/**
 * Awaits a stream from the witness with BIND, and has the witness open it: to the name that RESOLVE_PTR gives for the
 * address in the first reply.
 *
 * @returns the b32 of the one who awaited, and what the two said to each other
 */
export async function awaitWitness(lab: ClientLab, credentials?: Credentials) {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const awaiting = await greeted(lab, credentials, signal);
  awaiting.write(Buffer.concat([Buffer.from([5, 2, 0, NAME]), counted(lab.witness.host), Buffer.from([0, 21])]));
  const first = await readExactly(awaiting, 22, signal);
  demand(first[1] === 0 && first[3] === IPV6, `BIND was answered ${first[1]}`);
  const name = await nameOf(lab, first.subarray(4, 20), credentials);

  const calling = await lab.witness.call(name, signal);
  calling.write('hello');
  const second = await readExactly(awaiting, 22, signal);
  demand(second[1] === 0 && second[3] === IPV6, `BIND was answered ${second[1]} the second time`);
  const heard = [(await readExactly(awaiting, 'hello'.length, signal)).toString()];
  awaiting.write('good day');
  heard.push((await readExactly(calling, 'good day'.length, signal)).toString());
  for (const socket of [awaiting, calling]) socket.destroy();
  return { own: name.slice(0, B32_LENGTH), caller: second.subarray(4, 20), heard };
}

/** Tor's RESOLVE. @returns 16 bytes */
export async function addressOf(lab: ClientLab, name: string): Promise<Buffer> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const asking = await greeted(lab, undefined, signal);
  asking.write(Buffer.concat([Buffer.from([5, 0xf0, 0, NAME]), counted(name), Buffer.from([0, 0])]));
  const [version, code, , type] = await readExactly(asking, 4, signal);
  demand(version === 5 && code === 0 && type === IPV6, `RESOLVE was answered ${code} with an address of type ${type}`);
  const address = await readExactly(asking, 16, signal);
  asking.destroy();
  return address;
}

/** Tor's RESOLVE_PTR. @param address 16 bytes */
export async function nameOf(lab: ClientLab, address: Uint8Array, credentials?: Credentials): Promise<string> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const asking = await greeted(lab, credentials, signal);
  asking.write(Buffer.concat([Buffer.from([5, 0xf1, 0, IPV6]), address, Buffer.from([0, 0])]));
  const [, code, , type, length = 0] = await readExactly(asking, 5, signal);
  demand(code === 0 && type === NAME, `RESOLVE_PTR was answered ${code}`);
  const name = (await readExactly(asking, length + 2, signal)).toString('latin1', 0, length);
  asking.destroy();
  return name;
}

async function greeted(lab: ClientLab, credentials: Credentials | undefined, signal: AbortSignal): Promise<Socket> {
  const socket = await connectProxy(lab.unixProxies.gateway);
  if (credentials === undefined) {
    socket.write(Buffer.from([5, 1, NO_AUTHENTICATION]));
    await readExactly(socket, 2, signal);
  } else {
    const secret = Buffer.concat([counted(credentials.user), counted(credentials.password)]);
    socket.write(Buffer.concat([Buffer.from([5, 1, USER_AND_PASSWORD, 1]), secret]));
    await readExactly(socket, 4, signal);
  }
  return socket;
}

async function connectByNode(
  lab: ClientLab,
  host: string,
  type: 4 | 5,
  credentials: Credentials | undefined,
  proxy = lab.unixProxies.gateway,
) {
  const { socket } = await SocksClient.createConnection({
    proxy: {
      host: lab.proxy.host,
      port: lab.proxy.port,
      type,
      ...(credentials && { userId: credentials.user, password: credentials.password }),
    },
    existing_socket: await connectProxy(proxy),
    command: 'connect',
    destination: { host, port: 80 },
    timeout: PATIENCE_MS,
  });
  return socket;
}

function demand(right: boolean, complaint: string): void {
  if (!right) throw new Error(complaint);
}

function counted(field: string): Buffer {
  return Buffer.concat([Buffer.from([field.length]), Buffer.from(field, 'latin1')]);
}

function addressLength(type: number | undefined, length: number | undefined): number {
  switch (type) {
    case IPV4:
      return 4;
    case IPV6:
      return 16;
    case NAME:
      return length ?? 0;
    default:
      throw new Error(`unknown address type ${type}`);
  }
}

async function lengthByte(socket: Socket, type: number | undefined, signal: AbortSignal): Promise<Buffer> {
  return type === NAME ? readExactly(socket, 1, signal) : Buffer.alloc(0);
}
