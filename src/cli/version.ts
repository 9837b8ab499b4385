/** The version, which only package.json knows. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';

export function version(): string {
  // Two levels up from src/cli as well as from dist/cli.
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}
