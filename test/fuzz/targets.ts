/** All targets of the fuzzer, and the inputs that are kept: small pieces of real conversations, and what a target once failed at. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FuzzTarget } from './engine.ts';
import { target as config } from './targets/config.ts';
import { target as control } from './targets/control.ts';
import { target as dns } from './targets/dns.ts';
import { target as flow } from './targets/flow.ts';
import { target as keepalive } from './targets/keepalive.ts';
import { target as keys } from './targets/keys.ts';
import { target as names } from './targets/names.ts';
import { targets as native } from './targets/native.ts';
import { target as packets } from './targets/packets.ts';
import { target as sam } from './targets/sam.ts';
import { target as socks } from './targets/socks.ts';
import { target as socksDatagram } from './targets/socks-datagram.ts';

export const NATIVE_TARGETS = native;

export const TARGETS: readonly FuzzTarget[] = [
  packets,
  keepalive,
  sam,
  socks,
  socksDatagram,
  dns,
  control,
  config,
  keys,
  names,
  flow,
  ...native,
];

const LONGEST_CAUSE = 60;
const CORPUS = join(import.meta.dirname, 'corpus');

/** Kept inputs of a target, by name of their file. */
export function corpusOf({ name }: FuzzTarget): ReadonlyMap<string, Buffer> {
  const folder = join(CORPUS, name);
  if (!existsSync(folder)) return new Map();
  return new Map(
    readdirSync(folder)
      .sort()
      .map((file) => [file, readFileSync(join(folder, file))] as const),
  );
}

/** Under a name that says what went wrong, and is its own. @returns where the input is kept from now on */
export function keep({ name }: FuzzTarget, error: unknown, input: Buffer): string {
  const folder = join(CORPUS, name);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, nameOf(error, input));
  writeFileSync(file, input);
  return file;
}

/** @returns such as `range-error-offset-is-out-of-range-3f2a9c01.bin` */
export function nameOf(error: unknown, input: Buffer): string {
  const [line = ''] = String(error).split('\n');
  const words = line.replaceAll(/([a-z])([A-Z])/g, '$1-$2').toLowerCase();
  const cause = words
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/^-/, '')
    .slice(0, LONGEST_CAUSE)
    .replace(/-$/, '');
  return `${cause}-${createHash('sha256').update(input).digest('hex').slice(0, 8)}.bin`;
}
