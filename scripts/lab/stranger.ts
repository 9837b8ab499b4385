/**
 * A stranger's service on the lab's network: an ordinary i2pd server tunnel in front of a small web server, made without
 * anything of garligate. It has a b32 name, and a name in the routers' address books.
 */
import { type DestinationKeys, generateKeys } from './destination-keys.ts';
import type { I2pNetwork, NetworkOptions } from './i2p-network.ts';
import { startHelper } from './namespace-helper.ts';

export type StrangerPlan = {
  readonly keys: DestinationKeys;
  /** `<52>.b32.i2p` */
  readonly b32Name: string;
  /** Known to the address books. */
  readonly bookName: string;
  /** What startNetwork needs to know. */
  readonly network: Required<Pick<NetworkOptions, 'services' | 'names'>>;
};

export interface Stranger extends StrangerPlan {
  stop(): Promise<void>;
}

const ROUTER = 3;
const PORT = 8080;
const BOOK_NAME = 'stranger.i2p';

/** Made before the network, because a router reads its tunnels and its address book when it starts. */
export function planStranger(): StrangerPlan {
  const keys = generateKeys();
  return {
    keys,
    b32Name: `${keys.destination.b32}.b32.i2p`,
    bookName: BOOK_NAME,
    network: {
      services: [{ router: ROUTER, name: 'stranger', keys, port: PORT }],
      names: new Map([[BOOK_NAME, keys.destination.base64]]),
    },
  };
}

/** Starts the web server behind the tunnel. */
export async function startStranger(network: I2pNetwork, plan: StrangerPlan): Promise<Stranger> {
  const helper = await startHelper(network.router(ROUTER).namespace);
  try {
    await helper.perform({ kind: 'serve-web', host: '127.0.0.1', port: PORT });
  } catch (error) {
    await helper.stop();
    throw error;
  }
  return { ...plan, stop: () => helper.stop() };
}
