import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { excludeEachOther, formatEndpoint, isLocal, parseEndpoint } from '../../../src/config/endpoint.ts';

for (const [text, canonical, local] of [
  ['127.0.0.1:9160', '127.0.0.1:9160', true],
  ['localhost:1', '127.0.0.1:1', true],
  ['127.9.9.9:0', '127.9.9.9:0', true],
  ['[::1]:65535', '[::1]:65535', true],
  ['[0:0::1]:1', '[::1]:1', true],
  ['unix:/run/x', 'unix:/run/x', true],
  ['0.0.0.0:1', '0.0.0.0:1', false],
  ['[::]:1', '[::]:1', false],
  ['192.168.1.1:1', '192.168.1.1:1', false],
  ['[::ffff:127.0.0.1]:1', '[::ffff:7f00:1]:1', false],
  ['[FE80::1]:1', '[fe80::1]:1', false],
] as const) {
  test(`reads ${text}`, () => {
    const endpoint = parseEndpoint(text);
    assert.ok(endpoint !== undefined);
    assert.equal(formatEndpoint(endpoint), canonical);
    assert.equal(isLocal(endpoint), local);
    assert.deepEqual(parseEndpoint(canonical), endpoint);
  });
}

for (const text of [
  '',
  ':1',
  '127.0.0.1',
  '127.0.0.1:',
  '127.0.0.1:65536',
  '127.0.0.1:-1',
  '127.1:1',
  '2130706433:1',
  '0x7f.0.0.1:1',
  '010.0.0.1:1',
  '::1:1',
  '[::1]',
  '[fe80::1%eth0]:1',
  '[127.0.0.1]:1',
  'example.com:1',
  'LOCALHOST:1',
  'unix:',
  'unix:relative',
  `unix:/${'x'.repeat(107)}`,
  'unix:/a\0b',
]) {
  test(`refuses ${JSON.stringify(text.slice(0, 30))}`, () => assert.equal(parseEndpoint(text), undefined));
}

test('reads or refuses any text', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const endpoint = parseEndpoint(text);
      if (endpoint !== undefined) assert.deepEqual(parseEndpoint(formatEndpoint(endpoint)), endpoint);
    }),
  );
});

const HOSTS = ['127.0.0.1', '127.0.0.2', '0.0.0.0', '::1', '::'] as const;

/** @returns undefined where the kernel refuses */
async function listens(host: string, port: number) {
  const server = createServer().listen({ host, port, ipv6Only: true });
  const refused = once(server, 'error').then(([error]) => {
    assert.equal(error.code, 'EADDRINUSE');
    return undefined;
  });
  const listening = once(server, 'listening').then(() => server);
  return Promise.race([refused, listening]);
}

for (const one of HOSTS) {
  for (const other of HOSTS) {
    test(`whether ${one} excludes ${other} is what the kernel says`, async () => {
      const first = (await listens(one, 0)) ?? assert.fail();
      const address = first.address();
      const port = typeof address === 'object' && address !== null ? address.port : assert.fail();
      const second = await listens(other, port);
      first.close();
      second?.close();
      const endpoints = [one, other].map((host) => ({ kind: 'tcp', host, port }) as const);
      const [at, beside] = endpoints;
      assert.ok(at !== undefined && beside !== undefined);
      assert.equal(excludeEachOther(at, beside), second === undefined);
      assert.equal(excludeEachOther({ ...at, port: 0 }, { ...beside, port: 0 }), false);
    });
  }
}
