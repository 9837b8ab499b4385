/** All targets of the fuzzer, and the inputs that were kept because a target once failed at them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FuzzTarget } from './engine.ts';
import { target as config } from './targets/config.ts';
import { target as control } from './targets/control.ts';
import { target as dns } from './targets/dns.ts';
import { target as flow } from './targets/flow.ts';
import { target as keepalive } from './targets/keepalive.ts';
import { target as keys } from './targets/keys.ts';
import { target as packets } from './targets/packets.ts';
import { target as sam } from './targets/sam.ts';
import { target as socks } from './targets/socks.ts';

export const TARGETS: readonly FuzzTarget[] = [packets, keepalive, sam, socks, dns, control, config, keys, flow];

const CORPUS = join(import.meta.dirname, 'corpus');

/** Kept inputs of a target, by name of their file. */
export function corpusOf({ name }: FuzzTarget): ReadonlyMap<string, Buffer> {
  const folder = join(CORPUS, name);
  if (!existsSync(folder)) return new Map();
  return new Map(readdirSync(folder).map((file) => [file, readFileSync(join(folder, file))] as const));
}

/** @returns where the input is kept from now on */
export function keep({ name }: FuzzTarget, seed: number, input: Buffer): string {
  const folder = join(CORPUS, name);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `seed-${seed}.bin`);
  writeFileSync(file, input);
  return file;
}
