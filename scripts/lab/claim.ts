/**
 * Names for networks, so that several can run side by side on one machine: `garlab`, `garlab2`, ... A name is held by an
 * abstract unix socket: the kernel gives it to one process only, and takes it back however that process ends.
 */
import { createServer, type Server } from 'node:net';

const BASE_NAME = 'garlab';
const MOST_NETWORKS = 32;

export type ClaimedName = {
  readonly name: string;
  release(): void;
};

/** The lowest free name. @throws Error when all are taken */
export async function claimName(): Promise<ClaimedName> {
  for (let number = 1; number <= MOST_NETWORKS; number++) {
    const name = number === 1 ? BASE_NAME : `${BASE_NAME}${number}`;
    const holder = await hold(`\0${name}.lab`);
    if (holder !== undefined) return { name, release: () => void holder.close() };
  }
  throw new Error(`${MOST_NETWORKS} lab networks run already on this machine: end some of them`);
}

function hold(abstractPath: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => connection.destroy());
    server.unref();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(abstractPath, () => resolve(server));
  });
}
