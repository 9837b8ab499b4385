/**
 * Is a network of routers ready? It is when two of its routers find each other's destinations and bytes go from one to the
 * other and back. Uses the SAM bridges and a reserved key on each side, whose tunnels stand already.
 */
import { limit, waitUntil } from './command.ts';
import type { DestinationKeys } from './destination-keys.ts';
import { canFind, greetBridge, type OpenBridge, openSession, readExactly, type SamSession } from './sam-client.ts';

export type Side = {
  readonly open: OpenBridge;
  /** A destination that the side's router keeps tunnels for. Spent by this test. */
  readonly keys: DestinationKeys;
};

/** i2pd repeats a lost first packet of a stream after 9 s. */
const ECHO_MS = 25_000;
const GREETING_MS = 5_000;
const MESSAGE = Buffer.from('is anybody there?');

/** @throws Error when the network is not ready after `timeoutMs` */
export async function untilReady(a: Side, b: Side, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const start = performance.now();
  const remaining = () => Math.max(0, timeoutMs - (performance.now() - start));
  await Promise.all([untilFound(a.open, b, remaining(), signal), untilFound(b.open, a, remaining(), signal)]);
  const [from, to] = await Promise.all([
    openSession(a.open, a.keys.base64, signal),
    openSession(b.open, b.keys.base64, signal),
  ]);
  try {
    const look = async () => ((await echoes(from, to, signal)) ? true : undefined);
    await waitUntil('bytes go to the other router and back', look, { timeoutMs: remaining(), signal, everyMs: 500 });
  } finally {
    from.close();
    to.close();
  }
}

/** Waits until a SAM bridge says hello. */
export async function untilBridgeAnswers(
  open: OpenBridge,
  timeoutMs: number,
  signal: AbortSignal,
  inVain: () => string | undefined,
): Promise<void> {
  const look = async () => {
    await greetBridge(open, limit(GREETING_MS, signal));
    return true;
  };
  await waitUntil('the SAM bridge answers', look, { timeoutMs, signal, everyMs: 50, inVain });
}

/** Waits until `name`, such as `<52>.b32.i2p`, can be reached through a router. */
export function untilNameFound(
  open: OpenBridge,
  name: string,
  timeoutMs: number,
  signal: AbortSignal,
  inVain: () => string | undefined = () => undefined,
): Promise<true> {
  const look = async () => ((await canFind(open, name, signal)) ? true : undefined);
  return waitUntil('the destination is found by the other router', look, { timeoutMs, signal, everyMs: 250, inVain });
}

function untilFound(open: OpenBridge, side: Side, timeoutMs: number, signal: AbortSignal): Promise<true> {
  return untilNameFound(open, `${side.keys.destination.b32}.b32.i2p`, timeoutMs, signal);
}

/** One stream from a session to another: does what is written come back? */
export async function echoes(from: SamSession, to: SamSession, parent: AbortSignal): Promise<boolean> {
  const over = new AbortController();
  const signal = AbortSignal.any([limit(ECHO_MS, parent), over.signal]);
  try {
    const [accepted, stream] = await Promise.all([to.accept(signal), from.connect(to.destination, signal)]);
    try {
      stream.write(MESSAGE);
      accepted.write(await readExactly(accepted, MESSAGE.length, signal));
      return (await readExactly(stream, MESSAGE.length, signal)).equals(MESSAGE);
    } finally {
      stream.destroy();
      accepted.destroy();
    }
  } finally {
    over.abort();
  }
}
