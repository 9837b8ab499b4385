/** What can be seen of a gateway from outside: what its log warns of, and what its process holds. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { Gateway } from '../lab/gateway.ts';

export interface Held {
  readonly pid: number;
  readonly descriptors: number;
  readonly megabytes: number;
}

/** Undefined while it does not run. */
export function held(gateway: Gateway): Held | undefined {
  const pid = gateway.pid();
  if (pid === undefined || !gateway.alive()) return undefined;
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return {
    pid,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    megabytes: Math.round(Number(resident) / 1_000),
  };
}

/** Levels of the log that tell an operator that something is wrong. */
const WARNINGS: ReadonlySet<unknown> = new Set(['warn', 'error', 'fatal']);

/** @returns what says which warnings and errors, by their codes, the gateway has logged since this was called */
export function listen({ logFile }: Gateway): () => readonly string[] {
  const from = statSync(logFile).size;
  return () => warnings(readFileSync(logFile).subarray(from).toString('utf8').split('\n'));
}

/** The codes of the warnings and errors among the lines of a log, each once. */
export function warnings(lines: readonly string[]): readonly string[] {
  const codes = lines.flatMap((line) => {
    if (!line.startsWith('{')) return [];
    const { level, code, msg }: { level?: string; code?: string; msg?: string } = JSON.parse(line);
    return WARNINGS.has(level) ? [code ?? msg ?? ''] : [];
  });
  return [...new Set(codes)];
}
