/** The other gateway gets a new identity, and the own one is told of it, as two people would do it. */
import { setTimeout as pause } from 'node:timers/promises';
import { generateKeys } from '../lab/destination-keys.ts';
import { serveEcho, serveWeb } from '../lab/lab.ts';
import { type Fault, RESTART_AFTER_MS } from './fault.ts';

/** The end of a connection needs to get to its other side. */
const FAREWELL_MS = 1_000;

export const NEW_KEY: Fault = {
  name: 'new-key',
  what: 'the other gateway gets a new key, and the own one is told so by its file and `reload`',
  // It has another address then.
  mayBreak: ['tcp', 'download', 'socks'],
  blockedMs: FAREWELL_MS + RESTART_AFTER_MS,
  // It gets its new key when all of that is over, and is away from then on.
  bareBlockedMs: 0,
  happen: async ({ a, b, traffic }, signal) => {
    const keys = generateKeys();
    // Whoever held on would write into its own kernel, for an address that is nobody's any more.
    traffic.hangUp();
    await pause(FAREWELL_MS, undefined, { signal });
    await b.stop();
    await b.becomes(keys);
    await pause(RESTART_AFTER_MS, undefined, { signal });
    traffic.bare.renew('b');
    await b.start(signal);
    await serveEcho(b);
    await serveWeb(b);
    await a.changePeers((peer) => ({ ...peer, destination: keys.destination }));
    await traffic.goTo(b.addresses.oc);
  },
};
