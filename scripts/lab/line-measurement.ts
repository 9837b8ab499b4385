/**
 * What the line between routers 1 and 2 really is, measured from outside with ordinary programs: ping for the round trip
 * and the losses, iperf3's datagrams for the rate. Loads the line for a few seconds.
 */
import { startInBackground } from './background.ts';
import { waitUntil } from './command.ts';
import type { I2pNetwork } from './i2p-network.ts';
import { describeRate, type LineShape } from './line-shape.ts';
import { runInside } from './namespaces.ts';

export interface MeasuredLine {
  /** Median. Milliseconds. */
  readonly roundTripMs: number;
  /** Of one direction, taken from that of both. */
  readonly loss: number;
  /** Bytes per second of frames, from router 1 to router 2; undefined where no rate was asked for. */
  readonly bytesPerSecond: number | undefined;
}

const PINGS = 500;
const SHORTEST_INTERVAL_MS = 5;
/** Echo requests as ping makes them, as frames. */
const PING_FRAME = 98;
/** They must not fill the line themselves. */
const PING_SHARE = 0.3;
const IPERF_PORT = '5201';
/** Counted when the way is full. */
const IPERF_TIME = ['--omit', '2', '--time', '4'];
const DATAGRAM = 1_000;
/** Ethernet, IPv4 and UDP. */
const HEADERS = 42;
const OVERLOAD = 1.3;
const ATTEMPT_MS = 40_000;
const LONGEST_MS = 90_000;

/** @throws Error when a program does not come to its end */
export async function measureLine(network: I2pNetwork, line: LineShape, signal: AbortSignal): Promise<MeasuredLine> {
  const [one, other] = [network.router(1), network.router(2)];
  const pings = await ping(one.namespace, other.address, line, signal);
  const bytesPerSecond =
    line.bytesPerSecond === 0 ? undefined : await overload(network, one.namespace, other, line.bytesPerSecond, signal);
  return { ...pings, bytesPerSecond };
}

async function ping(
  namespace: string,
  address: string,
  { roundTripMs, bytesPerSecond }: LineShape,
  signal: AbortSignal,
) {
  const fittingMs = bytesPerSecond === 0 ? 0 : (1000 * PING_FRAME) / (bytesPerSecond * PING_SHARE);
  const interval = (Math.max(SHORTEST_INTERVAL_MS, fittingMs) / 1000).toFixed(3);
  const wait = Math.ceil(2 + (2 * roundTripMs) / 1000);
  const args = ['-n', '-i', interval, '-c', `${PINGS}`, '-W', `${wait}`, address];
  const said = await runInside(namespace, 'ping', args, { signal, timeoutMs: LONGEST_MS });
  const times = [...said.matchAll(/time=([\d.]+) ms/g)].map(([, time]) => Number(time)).sort((a, b) => a - b);
  const median = times[Math.floor(times.length / 2)] ?? Number.NaN;
  return { roundTripMs: median, loss: 1 - Math.sqrt(times.length / PINGS) };
}

/** Sends more than the line takes, and looks at what arrives. */
async function overload(
  network: I2pNetwork,
  from: string,
  to: { readonly namespace: string; readonly address: string },
  rate: number,
  signal: AbortSignal,
): Promise<number> {
  const bits = `${Math.round(8 * rate * OVERLOAD)}`;
  const load = ['--udp', '--bitrate', bits, '--length', `${DATAGRAM}`, ...IPERF_TIME, '--json'];
  const client = ['--client', to.address, '--port', IPERF_PORT, ...load];
  const server = await startInBackground({
    namespace: to.namespace,
    command: 'iperf3',
    args: ['--server', '--bind', to.address, '--port', IPERF_PORT],
    logFile: `${network.directory}/iperf3.log`,
  });
  // It listens some moments after its start; and when the line loses its first datagram, the client gives up.
  const look = async () => framesPerSecond(await runInside(from, 'iperf3', client, { signal, timeoutMs: ATTEMPT_MS }));
  const inVain = () => server.ending();
  try {
    return await waitUntil('iperf3 measures the rate', look, { timeoutMs: LONGEST_MS, everyMs: 200, signal, inVain });
  } finally {
    await server.kill();
  }
}

interface IperfSum {
  readonly bits_per_second: number;
}

function framesPerSecond(report: string): number {
  const { end }: { end: { sum_received: IperfSum } } = JSON.parse(report);
  return (end.sum_received.bits_per_second / 8) * (1 + HEADERS / DATAGRAM);
}

export function describeMeasured({ roundTripMs, loss, bytesPerSecond }: MeasuredLine): string {
  const rate = bytesPerSecond === undefined ? '' : `, ${describeRate(bytesPerSecond)}`;
  return `round trip ${roundTripMs.toFixed(1)} ms${rate}, ${(loss * 100).toFixed(2)} % lost`;
}
