/** Compiles the load programs of bench/load into build/bench. They are small: it takes a second, every time. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun, ROOT } from '../../scripts/lib/command.mjs';

export interface LoadPrograms {
  /** What stands behind the relays. */
  readonly service: string;
  /** What stands before them. */
  readonly load: string;
}

export interface TunnelPrograms {
  /** What stands between two gateways in place of I2P. */
  readonly line: string;
  /** A gateway that moves packet by packet. */
  readonly relay: string;
  readonly datagrams: string;
}

const FLAGS = ['-std=gnu11', '-D_GNU_SOURCE', '-O2', '-pthread', '-Wall', '-Wextra', '-Werror'];

/** @throws SetUpError with the compiler's words */
export async function compileLoadPrograms(): Promise<LoadPrograms> {
  return { service: await compile('service'), load: await compile('load') };
}

/** @throws SetUpError with the compiler's words */
export async function compileTunnelPrograms(): Promise<TunnelPrograms> {
  return { line: await compile('line', ['way']), relay: await compile('relay'), datagrams: await compile('datagrams') };
}

/** @returns the path of the proxy that does nothing but what it must. @throws SetUpError with the compiler's words */
export function compileBareProxy(): Promise<string> {
  return compile('bare-proxy');
}

/** @param parts the other files that the program is made of */
async function compile(name: string, parts: readonly string[] = []): Promise<string> {
  const folder = join(ROOT, 'build/bench');
  mkdirSync(folder, { recursive: true });
  const target = join(folder, name);
  const sources = [name, ...parts].map((file) => join(ROOT, 'bench/load', `${file}.c`));
  await mustRun(`Compiling ${name}.c`, 'cc', [...FLAGS, ...sources, '-o', target]);
  return target;
}
