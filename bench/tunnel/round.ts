/** One round of all loads on one tunnel. */
import type { TunnelPrograms } from '../lib/compile.ts';
import { datagrams, ping, type RateSearch, type TcpSample, tcp } from './loads.ts';
import type { Tunnel } from './tunnels.ts';

export interface Round {
  readonly one: TcpSample;
  readonly both: TcpSample;
  /** Datagrams per second with less than 1 % lost, by their size in bytes. */
  readonly datagrams: Readonly<Record<number, number>>;
  readonly wrongDatagrams: number;
  /** Round trips without any other load. Milliseconds. */
  readonly idle: readonly number[];
  /** Of both ends together. Bytes. */
  readonly memory: number;
}

/** What is measured besides TCP, and how closely. */
export interface RoundPlan {
  /** Of datagrams, in bytes. */
  readonly sizes: readonly number[];
  readonly search: RateSearch;
  readonly idleSeconds: number;
}

/**
 * @param seconds of each TCP load
 * @param before the last round on this tunnel: what it reached is where this one begins
 */
export async function measureRound(
  tunnel: Tunnel,
  programs: TunnelPrograms,
  { sizes, search, idleSeconds }: RoundPlan,
  seconds: number,
  before: Round | undefined,
): Promise<Round> {
  const idle = await ping(tunnel, idleSeconds);
  const one = await tcp(tunnel, seconds, 'one');
  const both = await tcp(tunnel, seconds, 'both');
  const rates: Record<number, number> = {};
  let wrongDatagrams = 0;
  for (const size of sizes) {
    const { perSecond, wrong } = await datagrams(tunnel, programs, size, search, before?.datagrams[size]);
    rates[size] = perSecond;
    wrongDatagrams += wrong;
  }
  const memory = tunnel.programs.reduce((sum, program) => sum + program.memory(), 0);
  return { one, both, datagrams: rates, wrongDatagrams, idle, memory };
}
