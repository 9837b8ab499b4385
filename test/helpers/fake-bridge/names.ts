/** What a router makes of the text that stands for a destination: a host name, a b32 name, or the destination itself. */
import { type B32, type Destination, parseB32, parseDestination } from '../../../src/wire/i2p/destination.ts';
import type { Router } from './router.ts';

export type Target =
  | { readonly kind: 'destination'; readonly b32: B32; readonly base64: string }
  /** A proper b32 name that nobody has. */
  | { readonly kind: 'b32-unknown'; readonly b32: B32 }
  /** Ends like a b32 name, but is none. */
  | { readonly kind: 'b32-invalid' }
  /** Not a name that is known, and not a destination. */
  | { readonly kind: 'invalid' }
  /** As long as a destination, but not one. */
  | { readonly kind: 'garbled' };

const B32_ENDING = '.b32.i2p';
const SHORTEST_DESTINATION = 516;

export function resolve(router: Router, text: string): Target {
  const { network, leaseSets } = router;
  const booked = network.addressBook.get(text);
  if (booked !== undefined) return whole(parseDestination(booked));
  if (text.endsWith(B32_ENDING)) {
    const b32 = attempt(() => parseB32(text.slice(0, -B32_ENDING.length)));
    if (b32 === undefined) return { kind: 'b32-invalid' };
    const session = network.absence(b32) === 'unreachable' ? undefined : network.find(b32);
    if (session === undefined) return { kind: 'b32-unknown', b32 };
    leaseSets.add(b32);
    return whole(session.request.destination);
  }
  const destination = attempt(() => parseDestination(text));
  if (destination !== undefined) return whole(destination);
  return { kind: text.length >= SHORTEST_DESTINATION ? 'garbled' : 'invalid' };
}

function whole({ b32, base64 }: Destination): Target {
  return { kind: 'destination', b32, base64 };
}

function attempt<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}
