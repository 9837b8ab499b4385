/** Runs the load generator (bench/load/load.c) and reads what it reports. */
import { type Program, startProgram, untilSaid } from './program.ts';
import type { Relay } from './relays.ts';

export interface LoadPlan {
  readonly mode: 'down' | 'up' | 'connect' | 'hold';
  readonly connections: number;
  readonly seconds: number;
}

export interface LoadReport {
  /** Bytes or connections. */
  readonly count: number;
  readonly seconds: number;
  readonly failed: number;
}

/** More than the generator gives itself. */
const GRACE_MS = 25_000;

/** A load that has reported and still holds its connections until `finish`. */
export async function startLoad(
  load: string,
  relay: Relay,
  plan: LoadPlan,
): Promise<{ readonly program: Program; readonly report: LoadReport }> {
  const program = startProgram(load, [plan.mode, ...relay.target, String(plan.connections), String(plan.seconds)]);
  const pattern = /^(?:bytes|connections) (\d+) seconds ([\d.]+) failed (\d+)$/m;
  try {
    const [, count, seconds, failed] = await untilSaid(program, pattern, plan.seconds * 1000 + GRACE_MS);
    return { program, report: { count: Number(count), seconds: Number(seconds), failed: Number(failed) } };
  } catch (error) {
    await program.stop();
    throw error;
  }
}

export async function runLoad(load: string, relay: Relay, plan: LoadPlan): Promise<LoadReport> {
  const { program, report } = await startLoad(load, relay, plan);
  await program.finish();
  return report;
}
