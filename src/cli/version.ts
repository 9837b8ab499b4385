/** The version, which only package.json knows. */
import { readFileSync } from 'node:fs';

export function version(): string {
  // Two levels up from src/cli as well as from dist/cli.
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const found: unknown = JSON.parse(text);
  return typeof found === 'object' && found !== null && 'version' in found ? String(found.version) : 'unknown';
}
