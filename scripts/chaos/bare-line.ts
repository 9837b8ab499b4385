/**
 * What the routers themselves need to get over a fault: beside the two gateways, on the same routers, stand two bare SAM
 * sessions, without anything of garligate. Each dials the other, again and again when nothing comes back, since i2pd only
 * lets the one through that was restarted; and a session that has ended is made again with the same keys. It is the least
 * that whoever uses SAM has to do.
 */
import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { type DestinationKeys, generateKeys } from '../lab/destination-keys.ts';
import type { I2pNetwork } from '../lab/i2p-network.ts';
import { openSession, type SamSession } from '../lab/sam-client.ts';

export interface BareLine {
  /** Ends the session on the router of this gateway, as the death of its program would; it is made again. */
  drop(gateway: Side): void;
  /** The same, and it gets other keys; the other side is told of them. */
  renew(gateway: Side): void;
}

type Side = 'a' | 'b';

/** Of both gateways. */
const ROUTERS = { a: 1, b: 2 } as const;
const MESSAGE = Buffer.alloc(1_000, 'bare');
const EVERY_MS = 200;
/** A stream on which nothing comes for so long is given up. i2pd repeats a lost first packet after 9 s. */
const SILENT_MS = 12_000;
const AGAIN_MS = 500;
/** So long i2pd 2.45.1 may hold the keys of a session that its client has ended; the same keys twice end the router. */
const KEYS_LINGER_MS = 6_000;

/**
 * @param heard told of every message that comes back
 * @param signal aborts when it shall end
 */
export function startBareLine(network: I2pNetwork, heard: () => void, signal: AbortSignal): BareLine {
  const keys = { a: generateKeys(), b: generateKeys() };
  const keep = (own: Side, other: Side) => {
    const use = async (session: SamSession, over: AbortSignal) => {
      await Promise.all([echo(session, over), talk(session, () => keys[other].destination.base64, heard, over)]);
    };
    return keepSession(network, ROUTERS[own], () => keys[own], use, signal);
  };
  const sessions = { a: keep('a', 'b'), b: keep('b', 'a') };
  return {
    drop: (gateway) => sessions[gateway].drop(),
    renew: (gateway) => {
      keys[gateway] = generateKeys();
      sessions[gateway].drop();
    },
  };
}

/** @param use works with a session until that is over, and never rejects */
function keepSession(
  network: I2pNetwork,
  router: number,
  keys: () => DestinationKeys,
  use: (session: SamSession, over: AbortSignal) => Promise<void>,
  signal: AbortSignal,
) {
  let current: SamSession | undefined;
  let [used, dropped]: (DestinationKeys | undefined)[] = [];
  void (async () => {
    while (!signal.aborted) {
      try {
        used = keys();
        if (used === dropped) await pause(KEYS_LINGER_MS, undefined, { signal });
        dropped = undefined;
        current = await openSession((stop) => network.openBridge(router, stop), used.base64, signal);
        const over = new AbortController();
        void current.ended.then(() => over.abort());
        const either = AbortSignal.any([signal, over.signal]);
        // Each stream listens to it, and a cut leaves many.
        setMaxListeners(0, either);
        await use(current, either);
      } catch {
        // The router is not there, or not yet what it was.
        await pause(AGAIN_MS, undefined, { signal }).catch(() => {});
      }
    }
    current?.close();
  })();
  const drop = () => {
    dropped = used;
    current?.close();
  };
  return { drop };
}

async function echo(session: SamSession, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    const stream = await session.accept(over).catch(() => undefined);
    if (stream === undefined) await pause(AGAIN_MS, undefined, { signal: over }).catch(() => {});
    else {
      // Nobody tells this side that the other one has given it up.
      stream.setTimeout(SILENT_MS, () => stream.destroy());
      closeWith(stream, over).pipe(stream);
    }
  }
}

async function talk(
  session: SamSession,
  destination: () => string,
  heard: () => void,
  over: AbortSignal,
): Promise<void> {
  while (!over.aborted) {
    const stream = await session.connect(destination(), over).catch(() => undefined);
    if (stream !== undefined) await talkOn(closeWith(stream, over), heard);
    await pause(AGAIN_MS, undefined, { signal: over }).catch(() => {});
  }
}

/** Until nothing comes any more. */
function talkOn(stream: Socket, heard: () => void): Promise<void> {
  return new Promise((resolve) => {
    let lastAt = performance.now();
    const timer = setInterval(() => {
      if (performance.now() - lastAt > SILENT_MS) stream.destroy();
      else stream.write(MESSAGE);
    }, EVERY_MS);
    stream.on('data', () => {
      lastAt = performance.now();
      heard();
    });
    stream.once('close', () => {
      clearInterval(timer);
      resolve();
    });
  });
}

function closeWith(stream: Socket, over: AbortSignal): Socket {
  const close = () => stream.destroy();
  over.addEventListener('abort', close, { once: true });
  stream.on('error', () => {}); // It closes, which is seen.
  stream.once('close', () => over.removeEventListener('abort', close));
  return stream;
}
