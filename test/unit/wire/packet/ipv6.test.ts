/** Where things stand in a header, by a header written out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DESTINATION_OFFSET,
  HEADER_LENGTH,
  isIpv6,
  LONGEST_PACKET,
  NEXT_HEADER_OFFSET,
  packetLength,
  SOURCE_OFFSET,
} from '../../../../src/wire/packet/ipv6.ts';
import { hex } from '../../kit/support.ts';

const HEADER = hex('60 0e 82 8a  12 34  3b 01  000102030405060708090a0b0c0d0e0f  f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff');

test('the fields are found', () => {
  assert.equal(HEADER.length, HEADER_LENGTH);
  assert.equal(HEADER[NEXT_HEADER_OFFSET], 0x3b);
  assert.equal(HEADER[SOURCE_OFFSET], 0x00);
  assert.equal(HEADER[SOURCE_OFFSET + 15], 0x0f);
  assert.equal(HEADER[DESTINATION_OFFSET], 0xf0);
  assert.equal(HEADER[DESTINATION_OFFSET + 15], 0xff);
});

test('the length is header and payload, wherever the packet begins', () => {
  assert.equal(packetLength(HEADER, 0), 40 + 0x1234);
  assert.equal(packetLength(Buffer.concat([Buffer.alloc(13), HEADER]), 13), 40 + 0x1234);
  assert.equal(packetLength(hex('60 00 00 00 00 00'), 0), 40);
  assert.equal(packetLength(hex('60 00 00 00 ff ff'), 0), LONGEST_PACKET);
  assert.equal(LONGEST_PACKET, 65_575);
});

test('version 6 is the high half of the first byte', () => {
  const sixes = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => isIpv6(byte));
  assert.deepEqual(
    sixes,
    [0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
  );
  assert.equal(isIpv6(undefined), false);
});
