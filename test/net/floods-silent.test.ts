/**
 * Clients in numbers that say nothing, or nothing that anybody understands, or that are gone already, on the gateway as people
 * run it: its limits hold, its memory does not grow with them, its descriptors come back, and newcomers are served meanwhile.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { until } from '../helpers/until.ts';
import { AT_ONCE, assertNothingKept, onDaemon, PATIENCE_MS } from './flooded-daemon.ts';
import { declareScenarios } from './namespace.ts';

const MAX_CLIENTS = 256;
const SILENT = 10_000;
const GARBAGE = 1_000;
const FEW = 8;
const ANSWERED = 5 * FEW;

await declareScenarios(import.meta.filename, {
  [`${SILENT} clients that say nothing`]: {
    longestMs: 110_000,
    run: () =>
      onDaemon(`max_clients = ${MAX_CLIENTS}`, async ({ daemon, stranger, serveNewcomer, count }) => {
        const flood = async (upTo: number) => {
          while (begun < upTo) {
            const wave = Array.from({ length: AT_ONCE }, () => once(stranger(), 'connect'));
            begun += AT_ONCE;
            await Promise.all(wave);
            if (begun % 1_000 === 0) await serveNewcomer();
            if (begun % 500 === 0) assert.ok((await count('clients')) <= MAX_CLIENTS);
          }
        };
        let begun = 0;
        await flood(SILENT / 5);
        const { living } = await daemon.inside();
        await flood(SILENT);
        const displaced = await count('displaced');
        assert.ok(displaced >= SILENT - MAX_CLIENTS - AT_ONCE, `${displaced} displaced`);
        await assertNothingKept(living, SILENT - SILENT / 5, daemon);
      }),
  },
  [`${ANSWERED} clients one after the other that close when they are answered, of a service that closes nothing`]: {
    longestMs: 60_000,
    run: () =>
      onDaemon(`max_clients = ${FEW}`, async ({ serveAndKeep, count }) => {
        const closeAll: (() => void)[] = [];
        for (let client = 0; client < ANSWERED; client += 1) {
          closeAll.push(await serveAndKeep());
          assert.ok((await count('clients')) <= FEW);
        }
        assert.equal(await count('refusedCap'), 0);
        for (const close of closeAll) close();
        await until('all are gone', async () => (await count('clients')) === 0, PATIENCE_MS);
      }),
  },
  [`${GARBAGE} clients that send garbage`]: {
    longestMs: 60_000,
    run: () =>
      onDaemon(`max_clients = ${MAX_CLIENTS}`, async ({ stranger, serveNewcomer, count }) => {
        for (let seed = 0; seed < GARBAGE; seed += 1) {
          const socket = stranger();
          socket.write(Buffer.from(Array.from({ length: 1 + (seed % 300) }, (_, at) => (seed * 7 + at * 13) % 256)));
          if (seed % 2 === 0) socket.end();
          if (seed % 100 === 0) await serveNewcomer();
        }
        await until('all are gone', async () => (await count('clients')) === 0, PATIENCE_MS);
      }),
  },
});
