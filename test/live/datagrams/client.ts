/**
 * A SOCKS client that asks for UDP ASSOCIATE, as a program that runs inside the namespace of a gateway: the echo at one
 * end, and the one who measures and misbehaves at the other. Prints one line of JSON.
 */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { setTimeout as pause } from 'node:timers/promises';
import { UdpClient, udpHeader } from '../../helpers/udp-client.ts';

export interface Measured {
  /** Addresses in hexadecimal: what either side sees of the other. */
  readonly echoSeenAs: string;
  readonly seenByEcho: string;
  /** Echoes out of 5 for each size. */
  readonly sizes: Readonly<Record<string, number>>;
  /** Milliseconds, of 100 bytes there and back. */
  readonly median: number;
  readonly p95: number;
  /** Echoes of 200 datagrams of 1000 bytes: one every 10 ms, and all at once. */
  readonly paced: number;
  readonly burst: number;
}

/** The echo answers this with the address that it sees. */
const WHO_AM_I = 'who am I?';
const SIZES = [1, 100, 1000, 1200, 4000, 7600, 11_000, 15_000, 20_000, 31_000, 31_744];
const TRIES = 5;
const ROUND_TRIPS = 100;
const LOAD = 200;
const ECHO_MS = 3_000;
/** i2pd takes 20 s or 40 s for each session, and then the lease set has to be found. */
const FIRST_MS = 120_000;
const QUIET_MS = 2_000;

const via = (text = '') => {
  const [host = '', port = ''] = text.split(':');
  return { host, port: Number(port) };
};

async function echo(proxy: string): Promise<void> {
  const client = await UdpClient.associate(via(proxy));
  const serve = () => {
    for (const { host, port, payload } of client.received.splice(0)) {
      client.send(host, port, payload.toString() === WHO_AM_I ? Buffer.from(host) : payload);
    }
  };
  client.udp.on('message', serve);
  client.control.once('close', () => process.exit(1));
  process.stdout.write('ready\n');
}

async function measure(proxy: string, host: string): Promise<Measured> {
  const client = await UdpClient.associate(via(proxy));
  // The first ones are lost while the lease set is looked for.
  const end = performance.now() + FIRST_MS;
  while (client.received.length === 0 && performance.now() < end) {
    client.send(host, 7, Buffer.from(WHO_AM_I));
    await pause(1_000);
  }
  const first = await client.receive('the first echo');
  await quiet(client);
  const sizes: Record<string, number> = {};
  for (const size of SIZES) sizes[size] = await echoes(client, host, size);
  const times: number[] = [];
  for (let count = 0; count < ROUND_TRIPS; count += 1) {
    const time = await roundTrip(client, host, 100);
    if (time !== undefined) times.push(time);
  }
  times.sort((one, other) => one - other);
  const paced = await load(client, host, 10);
  const burst = await load(client, host, 0);
  client.close();
  const at = (share: number) => Math.round((times[Math.floor(times.length * share)] ?? Number.NaN) * 10) / 10;
  return {
    echoSeenAs: first.host,
    seenByEcho: first.payload.toString(),
    sizes,
    median: at(0.5),
    p95: at(0.95),
    paced,
    burst,
  };
}

async function echoes(client: UdpClient, host: string, size: number): Promise<number> {
  let come = 0;
  for (let count = 0; count < TRIES; count += 1) if ((await roundTrip(client, host, size)) !== undefined) come += 1;
  return come;
}

/** @returns milliseconds; undefined for one that was lost */
async function roundTrip(client: UdpClient, host: string, size: number): Promise<number | undefined> {
  const payload = randomBytes(size);
  const startedAt = performance.now();
  client.send(host, 7, payload);
  try {
    await client.receive('an echo', (one) => one.payload.equals(payload), ECHO_MS);
    return performance.now() - startedAt;
  } catch {
    return undefined;
  }
}

/** @returns how many of them come back */
async function load(client: UdpClient, host: string, everyMs: number): Promise<number> {
  for (let count = 0; count < LOAD; count += 1) {
    client.send(host, 7, randomBytes(1000));
    if (everyMs > 0) await pause(everyMs);
  }
  return quiet(client);
}

/** @returns what came until nothing came any more */
async function quiet(client: UdpClient): Promise<number> {
  let come = 0;
  for (;;) {
    await pause(QUIET_MS);
    const now = client.received.splice(0).length;
    if (now === 0) return come;
    come += now;
  }
}

/** Fragments, too large ones, and a source that is not the client: none may get through. @returns echoes */
async function misbehave(proxy: string, host: string): Promise<number> {
  const client = await UdpClient.associate(via(proxy));
  const whole = Buffer.concat([udpHeader(host, 7), Buffer.from('misbehaving')]);
  const fragment = Buffer.from(whole);
  fragment.writeUInt8(1, 2);
  client.send(host, 7, Buffer.from('good'));
  for (let count = 0; count < 3; count += 1) client.sendRaw(fragment);
  client.send(host, 7, randomBytes(31_745));
  const stranger = createSocket('udp4');
  for (let count = 0; count < 3; count += 1) stranger.send(whole, client.relay.port, client.relay.address);
  const come = await quiet(client);
  stranger.close();
  client.close();
  return come;
}

const [role, proxy = '', host = ''] = process.argv.slice(2);
if (role === 'echo') await echo(proxy);
if (role === 'measure') process.stdout.write(`${JSON.stringify(await measure(proxy, host))}\n`);
if (role === 'misbehave') process.stdout.write(`${await misbehave(proxy, host)}\n`);
