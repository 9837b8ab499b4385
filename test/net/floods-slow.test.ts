/** Slowloris on the gateway as people run it: a thousand clients that always say a little more and never say it all. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { until } from '../helpers/until.ts';
import { AT_ONCE, assertNothingKept, onDaemon, PATIENCE_MS } from './flooded-daemon.ts';
import { declareScenarios } from './namespace.ts';

const TRICKLING = 1_000;
const HANDSHAKE_MS = 12_000;
const TRICKLE_MS = 5_000;

await declareScenarios(import.meta.filename, {
  [`${TRICKLING} clients of which each sends a byte every ${TRICKLE_MS / 1000} s`]: {
    longestMs: 110_000,
    run: () =>
      onDaemon(
        `max_clients = ${2 * TRICKLING}\nmax_clients_per_address = ${2 * TRICKLING}\nhandshake_timeout = "${HANDSHAKE_MS}ms"`,
        async ({ daemon, stranger, serveNewcomer, count }) => {
          const wave = async () => {
            const before = await count('handshakeTimeout');
            const slow: Socket[] = [];
            while (slow.length < TRICKLING) {
              const more = Array.from({ length: AT_ONCE }, () => stranger());
              slow.push(...more);
              await Promise.all(more.map((socket) => once(socket, 'connect')));
            }
            const trickle = () => {
              // 255 methods are announced, and one comes at a time: by the deadline not nearly all of them.
              for (const socket of slow)
                if (socket.writable) socket.write(Buffer.of(socket.bytesWritten === 0 ? 5 : 255));
            };
            trickle();
            const timer = setInterval(trickle, TRICKLE_MS);
            await until('all are there', async () => (await count('clients')) === TRICKLING, PATIENCE_MS);
            await serveNewcomer();
            await until('all are gone at the deadline', async () => (await count('clients')) === 0, PATIENCE_MS);
            clearInterval(timer);
            assert.equal((await count('handshakeTimeout')) - before, TRICKLING);
          };
          // The first one brings the code that serves clients into memory.
          await wave();
          const { living } = await daemon.inside();
          await wave();
          await wave();
          await assertNothingKept(living, 2 * TRICKLING, daemon);
        },
      ),
  },
});
