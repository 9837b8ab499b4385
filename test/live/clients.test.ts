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
import { readKeys } from '../../src/io/key-file.ts';
import { addressesOf, formatAddress } from '../../src/wire/i2p/address.ts';
import { parseB32 } from '../../src/wire/i2p/destination.ts';
import { addressOf, awaitWitness, nameOf, seenAs } from './clients/byte-clients.ts';
import { describeExpectation } from './clients/entry.ts';
import { type ClientLab, CREDENTIALS, startClientLab, TEXT } from './clients/lab.ts';
import { CLIENT_MATRIX } from './clients/matrix.ts';
import { curl } from './clients/programs.ts';

const OTHERS = { user: 'ben', password: 'secret' };
const { signal } = new AbortController();
let lab: ClientLab;
/** Begun early, since the routers need 20 s for each new identity. */
let seen: Promise<readonly [ann: string, ben: string]>;
/** Of a client without credentials on the isolated listener. */
let isolated: Promise<string>;

before(
  async () => {
    lab = await startClientLab(signal);
    seen = Promise.all([seenAs(lab, CREDENTIALS), seenAs(lab, OTHERS)]);
    isolated = seenAs(lab, undefined, lab.unixProxies.isolated);
    // Told by the tests that await them.
    seen.catch(() => {});
    isolated.catch(() => {});
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

describe('a service sees nothing of the gateway', () => {
  it('from an isolated listener, and another for each pair of credentials', { timeout: 350_000 }, async () => {
    // Listeners share what they isolate by the same facts, so nothing has to be built a second time.
    await Promise.all([isolated, seen]);
    const seenBy = async () => {
      const all: string[] = [];
      for (const one of [undefined, CREDENTIALS, OTHERS]) all.push(await seenAs(lab, one, lab.unixProxies.isolated));
      return all;
    };
    const first = await seenBy();
    assert.equal(first[0], await isolated);
    assert.equal(new Set([...first, (await status()).identity.b32]).size, 4);
    assert.deepEqual(await seenBy(), first);
  });

  it('from a listener with a named identity, whose key it sees instead', { timeout: 120_000 }, async () => {
    const { destination } = await readKeys(lab.namedKey);
    assert.equal(await seenAs(lab, undefined, lab.unixProxies.named), destination.b32);
    assert.notEqual((await status()).identity.b32, destination.b32);
  });
});

describe("a client that asks with Tor's RESOLVE", () => {
  it('has the address of a service, its name back, and the service by its address', { timeout: 120_000 }, async () => {
    const { host, b32 } = lab.web;
    const address = await addressOf(lab, host);
    const { oc } = addressesOf(parseB32(b32.slice(0, 52)));
    assert.deepEqual(address, oc);
    assert.equal(await nameOf(lab, address), host);
    const page = await curl(lab, ['--proxy', `socks5://${lab.proxy.text}`, `http://[${formatAddress(oc)}]/`]);
    assert.equal(page.trim(), TEXT);
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
