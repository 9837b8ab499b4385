/** A destination of which the test plays every byte: a stranger, an OnionCat, or a liar. */
import type { Duplex } from 'node:stream';
import { continueConversation, converse } from '../../src/core/session/bridge.ts';
import { createTcpBridge } from '../../src/io/bridge-tcp.ts';
import { systemClock } from '../../src/io/clock.ts';
import { generateKeys } from '../../src/io/key-generate.ts';
import { type Addresses, addressesOf } from '../../src/wire/i2p/address.ts';
import type { B32, Destination, PrivateKeys } from '../../src/wire/i2p/destination.ts';
import { acceptedPeer, armAccept, connectStream, createSession, hello } from '../../src/wire/sam/conversation.ts';
import type { FakeBridge } from '../helpers/fake-bridge/bridge.ts';

const NEVER = new AbortController().signal;

export interface RawPeer {
  readonly keys: PrivateKeys;
  readonly b32: B32;
  readonly addresses: Addresses;
  /** Opens a stream to a destination. */
  connect(b32: B32, toPort?: number): Promise<Duplex>;
  /** Waits for the next stream that somebody opens to this destination. */
  accept(): Promise<{ readonly from: Destination; readonly stream: Duplex }>;
  close(): void;
}

export async function rawPeer(bridge: FakeBridge, keys: PrivateKeys = generateKeys()): Promise<RawPeer> {
  const port = createTcpBridge({ kind: 'tcp', ...bridge.address }, systemClock);
  const id = `raw-${keys.destination.b32.slice(0, 8)}`;
  const session = createSession({ id, style: { kind: 'stream' }, keys, options: {} });
  const { stream: control } = await converse(port, hello(), 'a test', NEVER);
  await continueConversation(control, session, 'a test', NEVER);
  const open = new Set<Duplex>([control]);
  let closed = false;
  const keep = (stream: Duplex) => {
    // One that comes when all is over would keep the process alive.
    if (closed) stream.destroy();
    else open.add(stream);
    return stream;
  };
  return {
    keys,
    b32: keys.destination.b32,
    addresses: addressesOf(keys.destination.b32),
    connect: async (b32, toPort = 0) => {
      const request = connectStream({ id, destination: `${b32}.b32.i2p`, port: toPort });
      return keep((await converse(port, request, 'a test', NEVER)).stream);
    },
    accept: async () => {
      const { stream } = await converse(port, armAccept(id), 'a test', NEVER);
      keep(stream);
      const { from } = await continueConversation(stream, acceptedPeer(), 'a test', NEVER);
      return { stream, from };
    },
    close: () => {
      closed = true;
      for (const stream of open) stream.destroy();
    },
  };
}
