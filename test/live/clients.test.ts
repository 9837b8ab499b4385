/**
 * Every client of the matrix against real services behind real routers, and who those services see. What is expected of
 * each client is told in docs/socks.md, "Clients".
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { messageOf } from '../../scripts/lab/command.ts';
import { type StatusReport, statusReport } from '../../src/control/status.ts';
import { systemClock } from '../../src/io/clock.ts';
import { connectControl } from '../../src/io/control-socket.ts';
import { addressesOf } from '../../src/wire/i2p/address.ts';
import { parseB32 } from '../../src/wire/i2p/destination.ts';
import { awaitWitness, seenAs } from './clients/byte-clients.ts';
import { describeExpectation } from './clients/entry.ts';
import { type ClientLab, CREDENTIALS, startClientLab, TEXT } from './clients/lab.ts';
import { CLIENT_MATRIX } from './clients/matrix.ts';

const OTHERS = { user: 'ben', password: 'secret' };
const { signal } = new AbortController();
let lab: ClientLab;
/** Begun early, since the routers need 20 s for each new identity. */
let seen: Promise<readonly [string, string]>;

before(
  async () => {
    lab = await startClientLab(signal);
    seen = Promise.all([seenAs(lab, CREDENTIALS), seenAs(lab, OTHERS)]);
    seen.catch(() => {}); // Told by the test that awaits it.
  },
  { timeout: 240_000 },
);
after(() => lab?.stop(), { timeout: 60_000 });

describe('a client of the matrix', () => {
  for (const { client, way, expected, run } of CLIENT_MATRIX) {
    it(`${client}, ${way}: ${describeExpectation(expected)}`, { timeout: 120_000 }, async () => {
      const leaksBefore = dnsLeaks(await status());
      const outcome = await run(lab).catch(messageOf);
      assert.equal(outcome.includes(TEXT), expected.kind === 'works', outcome);
      if (expected.kind === 'refused') assert.match(outcome, expected.sign);
      const leaking = expected.kind === 'refused' && expected.dnsLeak === true;
      assert.equal(dnsLeaks(await status()) - leaksBefore, leaking ? 1 : 0);
    });
  }
});

describe('a service sees', () => {
  it('the gateway itself, without credentials', { timeout: 120_000 }, async () => {
    assert.equal(await seenAs(lab), (await status()).identity.b32);
  });

  it('another destination for each pair of credentials, and never the gateway', { timeout: 350_000 }, async () => {
    const destinations = await seen;
    assert.equal(new Set([...destinations, (await status()).identity.b32]).size, 3);
    assert.deepEqual(await Promise.all([seenAs(lab, CREDENTIALS), seenAs(lab, OTHERS)]), destinations);
  });
});

describe('a client that awaits a stream with BIND', () => {
  const caller = () => addressesOf(parseB32(lab.witness.host.slice(0, 52))).oc;

  it('has it on the own destination of the gateway', { timeout: 120_000 }, async () => {
    const { own, caller: told, heard } = await awaitWitness(lab);
    assert.equal(own, (await status()).identity.b32);
    assert.deepEqual([told, heard], [caller(), ['hello', 'good day']]);
  });

  it('has it on the identity of its credentials', { timeout: 120_000 }, async () => {
    const { own, caller: told, heard } = await awaitWitness(lab, CREDENTIALS);
    assert.equal(own, (await seen)[0]);
    assert.deepEqual([told, heard], [caller(), ['hello', 'good day']]);
  });
});

async function status(): Promise<StatusReport> {
  const control = await connectControl(lab.gateway.controlSocket, systemClock, signal);
  try {
    return statusReport.parse(await control.request('status', { reveal: true }));
  } finally {
    control.close();
  }
}

function dnsLeaks({ socks }: StatusReport): number {
  return socks.reduce((sum, { counters }) => sum + (counters['dnsLeak'] ?? 0), 0);
}
