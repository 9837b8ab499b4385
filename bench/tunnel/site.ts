/**
 * The place of a tunnel under measurement: two hosts in namespaces of their own with a cable between them, and the line that
 * stands for I2P. Knows nothing of what is started there.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSegment, inNamespace, runInside, type Segment } from '../../scripts/lab/namespaces.ts';
import type { Cleanup } from '../lib/cleanup.ts';
import type { TunnelPrograms } from '../lib/compile.ts';
import { type Program, startProgram, untilSaid } from '../lib/program.ts';

export const MTU = 1500;

export type Host = 'a' | 'b';
export const HOSTS: readonly Host[] = ['a', 'b'];

/** How the line between two gateways is. */
export interface Line {
  /** Bytes per second and direction of each stream; 0 for as fast as it goes. */
  readonly rate: number;
  /** Milliseconds one way. */
  readonly delayMs: number;
}

interface Plan {
  readonly segment: Segment;
  readonly folder: string;
  readonly programs: TunnelPrograms;
  readonly line: Line;
  readonly index: number;
  keep(program: Program): void;
}

/** Where sites are made. */
export interface Ground {
  add(): Promise<Site>;
}

export async function openGround(programs: TunnelPrograms, line: Line, cleanup: Cleanup): Promise<Ground> {
  const folder = await mkdtemp(join(tmpdir(), 'garligate-bench-'));
  cleanup.add(() => rm(folder, { recursive: true, force: true }));
  const segment = await createSegment(`garbench${process.pid}`);
  cleanup.add(() => segment.remove());
  let index = 0;
  const keep = (program: Program) => cleanup.add(() => program.stop());
  return { add: () => prepareSite({ segment, folder, programs, line, index: index++, keep }) };
}

/** Two hosts to work on. */
export interface Hosts {
  on(host: Host, command: string, args: readonly string[]): [string, string[]];
  run(host: Host, command: string, ...args: string[]): Promise<string>;
  start(host: Host, command: string, ...args: string[]): Program;
}

/** @param keep hears of every program that is started, so that it will be ended */
export function hostsIn(namespaces: Readonly<Record<Host, string>>, keep: (program: Program) => void): Hosts {
  const on = (host: Host, command: string, args: readonly string[]) => inNamespace(namespaces[host], command, args);
  return {
    on,
    run: (host, command, ...args) => runInside(namespaces[host], command, args),
    start: (host, command, ...args) => {
      const program = startProgram(...on(host, command, args));
      keep(program);
      return program;
    },
  };
}

/** Two hosts with a cable between them. */
export interface Site extends Plan, Hosts {
  readonly outside: Readonly<Record<Host, string>>;
}

async function prepareSite(plan: Plan): Promise<Site> {
  const { segment, index } = plan;
  const outside = { a: `198.18.${200 + index}.1`, b: `198.18.${200 + index}.2` };
  const namespaces = { a: `${segment.name}-${index}a`, b: `${segment.name}-${index}b` };
  for (const host of HOSTS) await segment.add(`${index}${host}`, outside[host]);
  return { ...plan, outside, ...hostsIn(namespaces, plan.keep) };
}

export async function startLine({ segment, index, programs, line, keep }: Site): Promise<void> {
  const namespaces = HOSTS.map((host) => `/run/netns/${segment.name}-${index}${host}`);
  const program = startProgram(programs.line, [String(line.rate), String(line.delayMs), ...namespaces]);
  keep(program);
  await untilSaid(program, /ready/, 5_000);
}
