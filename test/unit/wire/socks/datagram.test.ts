/** Datagrams of SOCKS clients (RFC 1928 section 7): what is read, what is refused whole, and what goes back. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { encodeUdpReply, parseUdpRequest } from '../../../../src/wire/socks/datagram.ts';
import { hex } from './feed.ts';

const ADDRESS = 'fd60 db4d ddb5 54d8 7266 8a0b fc9c 5163';

describe('a datagram of a client', () => {
  test('to an IPv4 address, an IPv6 address and a name', () => {
    assert.deepEqual(parseUdpRequest(hex('00 00 00 01 7f 00 00 01 00 35 61 62')), {
      kind: 'datagram',
      host: { kind: 'ipv4', bytes: hex('7f 00 00 01') },
      port: 53,
      payload: Buffer.from('ab'),
    });
    assert.deepEqual(parseUdpRequest(hex(`00 00 00 04 ${ADDRESS} ff ff`)), {
      kind: 'datagram',
      host: { kind: 'ipv6', bytes: hex(ADDRESS) },
      port: 65_535,
      payload: Buffer.alloc(0),
    });
    assert.deepEqual(parseUdpRequest(Buffer.concat([hex('00 00 00 03 05'), Buffer.from('x.i2p'), hex('00 00 ff')])), {
      kind: 'datagram',
      host: { kind: 'name', name: 'x.i2p' },
      port: 0,
      payload: hex('ff'),
    });
  });

  test('is taken whatever the reserved bytes are', () => {
    assert.equal(parseUdpRequest(hex('ab cd 00 01 7f 00 00 01 00 35')).kind, 'datagram');
  });

  test('keeps every byte of a name apart', () => {
    const parsed = parseUdpRequest(hex('00 00 00 03 03 00 ff 2e 00 01'));
    assert.deepEqual(parsed.kind === 'datagram' && parsed.host, { kind: 'name', name: '\0\xff.' });
  });

  for (const fragment of ['01', '7f', '80', 'ff']) {
    test(`that is fragment ${fragment} is told apart, whatever follows`, () => {
      assert.deepEqual(parseUdpRequest(hex(`00 00 ${fragment} 01 7f 00 00 01 00 35 61`)), { kind: 'fragment' });
      assert.deepEqual(parseUdpRequest(hex(`00 00 ${fragment} 09`)), { kind: 'fragment' });
    });
  }

  test('that is cut anywhere before its payload is malformed', () => {
    const whole = [
      hex('00 00 00 01 7f 00 00 01 00 35'),
      hex(`00 00 00 04 ${ADDRESS} 00 35`),
      Buffer.concat([hex('00 00 00 03 05'), Buffer.from('x.i2p'), hex('00 35')]),
    ];
    for (const bytes of whole) {
      for (let length = 0; length < bytes.length; length += 1) {
        assert.deepEqual(parseUdpRequest(bytes.subarray(0, length)), { kind: 'malformed' }, `${length} bytes`);
      }
      assert.equal(parseUdpRequest(bytes).kind, 'datagram');
    }
  });

  test('with an empty name or an unknown type of address is malformed', () => {
    assert.deepEqual(parseUdpRequest(hex('00 00 00 03 00 00 35 61')), { kind: 'malformed' });
    for (const type of ['00', '02', '05', 'ff']) {
      assert.deepEqual(parseUdpRequest(hex(`00 00 00 ${type} 7f 00 00 01 00 35 61`)), { kind: 'malformed' });
    }
  });

  test('has a meaning, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const request = parseUdpRequest(Buffer.from(bytes));
        if (request.kind === 'datagram') assert.ok(request.payload.length < bytes.length);
      }),
    );
  });
});

describe('a datagram for a client', () => {
  test('has the address or the name of its source', () => {
    const address = { kind: 'ipv6', bytes: hex(ADDRESS) } as const;
    assert.deepEqual(encodeUdpReply(address, 53, Buffer.from('ab')), hex(`00 00 00 04 ${ADDRESS} 00 35 61 62`));
    assert.deepEqual(
      encodeUdpReply({ kind: 'name', name: 'x.i2p' }, 0, Buffer.alloc(0)),
      Buffer.concat([hex('00 00 00 03 05'), Buffer.from('x.i2p'), hex('00 00')]),
    );
  });

  test('can be sent back as it is', () => {
    const source = fc.oneof(
      fc
        .uint8Array({ minLength: 16, maxLength: 16 })
        .map((bytes) => ({ kind: 'ipv6', bytes: Buffer.from(bytes) }) as const),
      fc.string({ minLength: 1, maxLength: 60, unit: 'binary-ascii' }).map((name) => ({ kind: 'name', name }) as const),
    );
    fc.assert(
      fc.property(source, fc.nat(65_535), fc.uint8Array({ maxLength: 100 }), (host, port, bytes) => {
        const payload = Buffer.from(bytes);
        const parsed = parseUdpRequest(encodeUdpReply(host, port, payload));
        assert.deepEqual(parsed, { kind: 'datagram', host, port, payload });
      }),
    );
  });
});
