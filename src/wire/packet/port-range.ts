/** Ranges of ports, as people write them: `80` or `8000-8999`. */

export interface PortRange {
  /** 1..65535, both included. */
  readonly first: number;
  readonly last: number;
}

const HIGHEST_PORT = 65_535;

/** @returns undefined for what is no range */
export function parsePortRange(text: string): PortRange | undefined {
  const [, low = '', high = low] = /^([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/.exec(text) ?? [];
  const [first, last] = [Number(low), Number(high)];
  return first >= 1 && first <= last && last <= HIGHEST_PORT ? { first, last } : undefined;
}

export function formatPortRange({ first, last }: PortRange): string {
  return first === last ? `${first}` : `${first}-${last}`;
}

export function inRange(port: number, { first, last }: PortRange): boolean {
  return port >= first && port <= last;
}
