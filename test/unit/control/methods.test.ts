import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMethodRegistry } from '../../../src/control/methods.ts';
import { parseRequest } from '../../../src/control/protocol.ts';
import { type StatusReport, statusReport } from '../../../src/control/status.ts';
import { GateError } from '../../../src/kit/errors.ts';
import { sampleExposure, samplePing, sampleReload, sampleReport, sampleSubject } from './sample-report.ts';

const NEVER = new AbortController().signal;
const pinged: Array<readonly [string, number]> = [];
const registry = createMethodRegistry({
  ...sampleSubject,
  ping: async (peer, timeoutMs, signal) => {
    assert.equal(signal, NEVER);
    pinged.push([peer, timeoutMs]);
    return samplePing();
  },
});

function call(method: string, params: Record<string, unknown> = {}): Promise<unknown> {
  return registry.call({ v: 1, id: 1, method, params }, NEVER);
}

test('the sample is a report', () => {
  assert.deepEqual(statusReport.parse(sampleReport()), sampleReport());
});

test('names are shortened unless they are asked for in full', async () => {
  const full = sampleReport();
  const short = statusReport.parse(await call('status'));
  assert.equal(short.identity.b32, 'ktmh…mvfa');
  assert.equal(short.peers[0]?.b32, 'bbbb…bbba');
  assert.equal(short.identity.address, 'fd60:db4d:ddb5:54d8…5163');
  assert.equal(short.identity.ocat4Address, 'fd60:db4d:ddb5:4698…54a0');
  assert.equal(short.peers[0]?.address, 'fd60:db4d:ddb5:842…8421');
  assert.ok(!JSON.stringify(short).includes(full.identity.b32));
  assert.deepEqual(await call('status', { reveal: true }), full);
  assert.deepEqual(await call('peers', { reveal: true }), full.peers);
  assert.deepEqual(await call('peers'), short.peers);
  assert.deepEqual(await call('exposure'), sampleExposure());
  assert.deepEqual(await call('reload'), sampleReload());
});

test('help lists every method with its parameters', async () => {
  assert.deepEqual(await call('help'), [
    { name: 'help', doc: 'Lists the methods.', params: {} },
    { name: 'status', doc: 'The state of the gateway.', params: { reveal: 'show names and addresses in full' } },
    {
      name: 'ping',
      doc: 'How far one gets on the way to a peer.',
      params: { peer: 'name, b32 name or address of a peer', timeoutMs: 'for all steps together' },
    },
    { name: 'peers', doc: 'The peers and their links.', params: { reveal: 'show names and addresses in full' } },
    { name: 'exposure', doc: 'What each peer can reach of this host.', params: {} },
    {
      name: 'reload',
      doc: 'Takes over the changed config file: peers, their rules, and the level of the log. All of it or nothing.',
      params: {},
    },
  ]);
});

test('ping passes on whom to ask and for how long', async () => {
  assert.deepEqual(await call('ping', { peer: 'alice', timeoutMs: 5_000 }), samplePing());
  await call('ping', { peer: 'bob' });
  assert.deepEqual(pinged, [
    ['alice', 5_000],
    ['bob', 60_000],
  ]);
  for (const params of [{}, { peer: 'alice', timeoutMs: 1e9 }, { peer: 'x'.repeat(1_000) }, { peer: 7 }]) {
    await assert.rejects(call('ping', params), /wrong parameters for ping/);
  }
});

for (const [what, method, params, pattern] of [
  ['an unknown method', 'reboot', {}, /there are help, status, ping, peers, exposure/],
  ['a method that every object has', 'toString', {}, /there is no such method/],
  ['an unknown parameter', 'status', { all: true }, /wrong parameters for status/],
  ['a parameter of a wrong type', 'status', { reveal: 'yes' }, /reveal/],
] as const) {
  test(`refuses ${what}`, async () => {
    await assert.rejects(call(method, params), (error) => error instanceof GateError && pattern.test(error.message));
  });
}

test('a status that fails is not taken for an answer', async () => {
  const broken = createMethodRegistry({
    ...sampleSubject,
    status: (): StatusReport => {
      throw new TypeError('broken');
    },
    ping: async () => samplePing(),
  });
  await assert.rejects(broken.call(parseRequest('{"v":1,"id":1,"method":"status"}'), NEVER), TypeError);
});
