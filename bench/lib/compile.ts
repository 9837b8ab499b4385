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

const FLAGS = ['-std=gnu11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror'];

/** @throws SetUpError with the compiler's words */
export async function compileLoadPrograms(): Promise<LoadPrograms> {
  const folder = join(ROOT, 'build/bench');
  mkdirSync(folder, { recursive: true });
  const compile = async (name: string) => {
    const target = join(folder, name);
    const source = join(ROOT, 'bench/load', `${name}.c`);
    await mustRun(`Compiling ${name}.c`, 'cc', [...FLAGS, source, '-o', target]);
    return target;
  };
  return { service: await compile('service'), load: await compile('load') };
}
