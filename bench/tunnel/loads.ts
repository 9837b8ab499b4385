/** The loads that a tunnel is put under, each on one tunnel at a time and bounded in time. */
import { execFile } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { TunnelPrograms } from '../lib/compile.ts';
import { startProgram, untilSaid } from '../lib/program.ts';
import type { Tunnel } from './tunnels.ts';

const run = promisify(execFile);

export const IPERF_PORT = '5201';
export const DATAGRAM_PORT = '5301';
const GRACE_SECONDS = 20;
const PING_EVERY_SECONDS = 0.01;

export interface TcpSample {
  /** Goodput of both directions together. */
  readonly bytesPerSecond: number;
  /** Of both ends, for each GB of goodput. */
  readonly cpuSecondsPerGigabyte: number;
  readonly retransmits: number;
  /** Of the echo requests that ran beside it. Milliseconds. */
  readonly roundTrips: readonly number[];
}

/** iperf3 in one direction or both, with echo requests beside it. */
export async function tcp(tunnel: Tunnel, seconds: number, direction: 'one' | 'both'): Promise<TcpSample> {
  const both = direction === 'both' ? ['--bidir'] : [];
  const cpuBefore = cpuOf(tunnel);
  const { report, roundTrips } = await iperf(tunnel, seconds, both);
  const cpuSeconds = cpuOf(tunnel) - cpuBefore;
  const { bytes, bytesPerSecond, retransmits } = readReport(report);
  return { bytesPerSecond, cpuSecondsPerGigabyte: cpuSeconds / (bytes / 1e9), retransmits, roundTrips };
}

export interface FlowsSample {
  /** Goodput of each flow, once they have found their pace. */
  readonly bytesPerSecond: readonly number[];
  /** Of the echo requests that ran beside them, from their start on. Milliseconds. */
  readonly roundTrips: readonly number[];
}

/**
 * Bulk flows side by side in one direction, with echo requests beside them.
 *
 * @param settleSeconds before their bytes count
 */
export async function flows(
  tunnel: Tunnel,
  count: number,
  seconds: number,
  settleSeconds: number,
): Promise<FlowsSample> {
  const { report, roundTrips } = await iperf(tunnel, seconds, [
    '--parallel',
    String(count),
    '--omit',
    String(settleSeconds),
  ]);
  const { end }: { end: { streams: readonly { receiver: IperfSum }[] } } = JSON.parse(report);
  return { bytesPerSecond: end.streams.map(({ receiver }) => receiver.bits_per_second / 8), roundTrips };
}

async function iperf(tunnel: Tunnel, seconds: number, more: readonly string[]) {
  const server = startProgram(
    ...tunnel.on('b', 'iperf3', ['--server', '--one-off', '--port', IPERF_PORT, '--forceflush']),
  );
  try {
    await untilSaid(server, /Server listening/, 5_000);
    const args = ['--client', tunnel.address, '--port', IPERF_PORT, '--time', String(seconds), '--json'];
    const [report, roundTrips] = await Promise.all([
      finish(tunnel, 'a', 'iperf3', [...args, ...more, '--congestion', 'cubic'], seconds),
      ping(tunnel, seconds),
    ]);
    return { report, roundTrips };
  } finally {
    await server.stop();
  }
}

interface IperfSum {
  readonly bytes: number;
  readonly bits_per_second: number;
  readonly retransmits?: number;
}

function readReport(text: string) {
  const { end }: { end: Readonly<Record<string, IperfSum | undefined>> } = JSON.parse(text);
  const received = [end['sum_received'], end['sum_received_bidir_reverse']].filter((sum) => sum !== undefined);
  const sent = [end['sum_sent'], end['sum_sent_bidir_reverse']];
  return {
    bytes: received.reduce((sum, { bytes }) => sum + bytes, 0),
    bytesPerSecond: received.reduce((sum, { bits_per_second }) => sum + bits_per_second / 8, 0),
    retransmits: sent.reduce((sum, each) => sum + (each?.retransmits ?? 0), 0),
  };
}

/** Echo requests every 10 ms. @returns the round trips of those that came back, milliseconds */
export async function ping(tunnel: Tunnel, seconds: number): Promise<readonly number[]> {
  const count = String(Math.round(seconds / PING_EVERY_SECONDS));
  const args = ['-6', '-n', '-i', String(PING_EVERY_SECONDS), '-c', count, '-W', '2', tunnel.address];
  const said = await finish(tunnel, 'a', 'ping', args, seconds);
  return [...said.matchAll(/time=([\d.]+) ms/g)].map(([, time]) => Number(time));
}

export interface DatagramSample {
  /** The highest rate at which less than 1 % got lost. */
  readonly perSecond: number;
  /** Datagrams that arrived with other bytes than they had. */
  readonly wrong: number;
}

/**
 * Datagrams at a rate that is no trouble.
 *
 * @returns processor time of both ends for a million of those that arrived, seconds
 */
export async function steadyDatagrams(
  tunnel: Tunnel,
  { datagrams: program }: TunnelPrograms,
  size: number,
  rate: number,
  seconds: number,
): Promise<number> {
  const cpuBefore = cpuOf(tunnel);
  const { received } = await sendAt(tunnel, program, { size, rate, seconds, settleMs: SETTLE_MS });
  return (cpuOf(tunnel) - cpuBefore) / (received / 1e6);
}

/** How the highest rate is looked for. */
export interface RateSearch {
  /** Datagrams per second. */
  readonly first: number;
  readonly step: number;
  /** How often what lies between the last rate that was carried and the first that was not is cut in half. */
  readonly halvings: number;
  /** For how long what is under way may still arrive. */
  readonly settleMs: number;
}

/** On a line without delay. */
export const SETTLE_MS = 200;
const LONGEST_SEARCH = 24;
const TOLERATED_LOSS = 0.01;
const STEP_SECONDS = 0.6;
/** A neighbour on the machine that takes a processor for some milliseconds looks like the end of the tunnel. */
const ATTEMPTS = 3;

/** Raises the rate until datagrams get lost, from somewhat below what was reached before, and closes in on the limit. */
export async function datagrams(
  tunnel: Tunnel,
  { datagrams: program }: TunnelPrograms,
  size: number,
  { first, step, halvings, settleMs }: RateSearch,
  reachedBefore: number | undefined,
): Promise<DatagramSample> {
  let wrongSoFar = 0;
  const isCarried = async (rate: number) => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const { sent, received, wrong } = await sendAt(tunnel, program, { size, rate, seconds: STEP_SECONDS, settleMs });
      wrongSoFar += wrong;
      if (received >= sent * (1 - TOLERATED_LOSS)) return true;
    }
    return false;
  };
  let carried = 0;
  let rate = reachedBefore === undefined ? first : reachedBefore / step ** 2;
  let tooMuch: number | undefined;
  for (let count = 0; count < LONGEST_SEARCH && (carried === 0 || tooMuch === undefined); count += 1) {
    if (await isCarried(rate)) {
      carried = rate;
      rate *= step;
    } else {
      tooMuch = rate;
      rate /= step ** 2;
    }
  }
  for (let halving = 0; halving < halvings && carried > 0 && tooMuch !== undefined; halving += 1) {
    const between = Math.sqrt(carried * tooMuch);
    if (await isCarried(between)) carried = between;
    else tooMuch = between;
  }
  return { perSecond: carried, wrong: wrongSoFar };
}

interface Salvo {
  readonly size: number;
  readonly rate: number;
  readonly seconds: number;
  readonly settleMs: number;
}

async function sendAt(tunnel: Tunnel, program: string, { size, rate, seconds: time, settleMs }: Salvo) {
  const where = [tunnel.address, DATAGRAM_PORT, String(size)];
  const receiver = startProgram(...tunnel.on('b', program, ['receive', ...where]));
  try {
    await untilSaid(receiver, /ready/, 5_000);
    const args = ['send', ...where, String(Math.round(rate)), String(time)];
    const said = await finish(tunnel, 'a', program, args, time);
    const [, sent = '0', seconds = '1'] = /sent (\d+) seconds ([\d.]+)/.exec(said) ?? [];
    // A sender that cannot keep the rate has found the end of the machine, not of the tunnel.
    if (Number(sent) / Number(seconds) < rate * 0.95) return { sent: 1, received: 0, wrong: 0 };
    await pause(settleMs);
    await receiver.finish();
    const [, received, wrong] = /received (\d+) wrong (\d+)/.exec(receiver.said()) ?? [];
    return { sent: Number(sent), received: Number(received), wrong: Number(wrong) };
  } finally {
    await receiver.stop();
  }
}

function cpuOf({ programs }: Tunnel): number {
  return programs.reduce((sum, program) => sum + program.cpuSeconds(), 0);
}

async function finish(
  tunnel: Tunnel,
  host: 'a' | 'b',
  command: string,
  args: readonly string[],
  seconds: number,
): Promise<string> {
  const [program, words] = tunnel.on(host, command, args);
  const options = { timeout: (seconds + GRACE_SECONDS) * 1000, maxBuffer: 16 * 2 ** 20 };
  return (await run(program, words, options)).stdout;
}
