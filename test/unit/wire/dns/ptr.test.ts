/** Queries and answers over DNS byte for byte as OnionCat 4.11 has them, and what must not be answered. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { answerQuery } from '../../../../src/wire/dns/ptr.ts';
import { addressesOf } from '../../../../src/wire/i2p/address.ts';
import { parseB32 } from '../../../../src/wire/i2p/destination.ts';
import { hex } from '../../kit/support.ts';

const A = parseB32('j3dtidfppd6mkxecq6cz7raw44auavkmihlvuqb4fea7qcwuqtua');
const ADDRESS = addressesOf(A).ocat4;
const HIDDEN = parseB32('frtqmwskz5wdqjhwk4mljdavu7u524qa2fze5a3ypoxefnsvl4dq');

const nameOf = (address: Buffer) => (address.equals(ADDRESS) ? A : undefined);

/** One-character labels, the lowest digit first, as OnionCat writes them. */
function question(address: Buffer, type = 12, dnsClass = 1): Buffer {
  const labels = [...address.toString('hex')].reverse().map((digit) => `\x01${digit}`);
  return Buffer.concat([
    Buffer.from(`${labels.join('')}\x03ip6\x04arpa\0`, 'latin1'),
    hex('00'),
    Buffer.from([type, 0, dnsClass]),
  ]);
}

function query(asked: Buffer, head = 'dec3 0000 0001 0000 0000 0000'): Buffer {
  return Buffer.concat([hex(head), asked]);
}

test('answers as OnionCat does, byte for byte', () => {
  const asked = query(question(ADDRESS), '04c2 0000 0001 0000 0000 0000');
  assert.equal(asked.length, 90);
  const outcome = answerQuery(asked, nameOf);
  assert.equal(outcome.kind, 'answered');
  const expected = Buffer.concat([
    hex('04c2 8400 0001 0001 0000 0000'),
    question(ADDRESS),
    hex('c00c 000c 0001 00000e10 003e 34'),
    Buffer.from(`${A}\x03b32\x03i2p\0`, 'latin1'),
  ]);
  assert.equal(expected.length, 164);
  assert.equal(outcome.kind === 'answered' && outcome.reply.toString('hex'), expected.toString('hex'));
});

const FLAGS: ReadonlyArray<readonly [name: string, flags: string, kind: string, answer: string | undefined]> = [
  ['recursion desired is copied, nothing else', '0100', 'answered', '8500'],
  ['the rest of the flags is not', '07ff', 'answered', '8500'],
  ['another opcode is not implemented', '0800', 'unsupported', '8804'],
  ['an answer is never answered', '8000', 'ignored', undefined],
];

for (const [name, flags, kind, answer] of FLAGS) {
  test(`flags: ${name}`, () => {
    const outcome = answerQuery(query(question(ADDRESS), `dec3 ${flags} 0001 0000 0000 0000`), nameOf);
    assert.equal(outcome.kind, kind);
    assert.equal('reply' in outcome ? outcome.reply.toString('hex', 2, 4) : undefined, answer);
  });
}

test('an unknown address, another type, class or name: no such name, with the question and nothing more', () => {
  const others = [
    question(addressesOf(HIDDEN).ocat4),
    question(ADDRESS, 28),
    question(ADDRESS, 12, 3),
    hex('07 76657273696f6e 04 62696e64 00 0010 0003'),
    hex('00 0002 0001'),
    Buffer.from(question(ADDRESS)).fill(0x67, 1, 2),
  ];
  for (const asked of others) {
    const outcome = answerQuery(query(asked), nameOf);
    assert.equal(outcome.kind, 'unknown');
    const expected = Buffer.concat([hex('dec3 8003 0001 0000 0000 0000'), asked]);
    assert.equal(outcome.kind === 'unknown' && outcome.reply.toString('hex'), expected.toString('hex'));
  }
});

test('digits and suffix may be written in capitals', () => {
  const loud = Buffer.from(question(ADDRESS).toString('latin1', 0, 74).toUpperCase(), 'latin1');
  assert.equal(answerQuery(query(Buffer.concat([loud, hex('000c 0001')])), nameOf).kind, 'answered');
});

test('counts that are not one question are a format error; what stands behind the question is not looked at', () => {
  for (const counts of ['0000 0000 0000 0000', '0002 0000 0000 0000', '0001 0001 0000 0000', '0001 0000 0001 0000']) {
    const outcome = answerQuery(query(question(ADDRESS), `dec3 0100 ${counts}`), nameOf);
    assert.equal(outcome.kind, 'malformed');
    assert.equal(outcome.kind === 'malformed' && outcome.reply.toString('hex'), 'dec381010000000000000000');
  }
  const withOptions = Buffer.concat([query(question(ADDRESS), 'dec3 0000 0001 0000 0000 0001'), hex('00 0029 04d0')]);
  const outcome = answerQuery(withOptions, nameOf);
  assert.equal(outcome.kind === 'answered' && outcome.reply.length, 164);
});

test('a query of 12 bytes that promises more is completed with nothing', () => {
  answerQuery(query(question(ADDRESS)), nameOf);
  for (const head of [
    'dec3 0000 0001 0000 0000 0001',
    'dec3 0000 0001 0000 0000 0000',
    'dec3 0000 0000 0000 0000 0001',
  ]) {
    const outcome = answerQuery(hex(head), nameOf);
    assert.equal(outcome.kind === 'malformed' && outcome.reply.length, 12);
  }
});

test('cut off anywhere, it is a format error or nothing', () => {
  const whole = query(question(ADDRESS));
  for (let length = 0; length < whole.length; length += 1) {
    const { kind } = answerQuery(whole.subarray(0, length), nameOf);
    assert.equal(kind, length < 12 ? 'ignored' : 'malformed', String(length));
  }
});

test('a pointer in a question is no name', () => {
  for (const name of ['c00c', '01 61 c00c', '40 61', '80', 'ff']) {
    assert.equal(answerQuery(query(hex(`${name} 000c 0001`)), nameOf).kind, 'malformed', name);
  }
});

test('no name is longer than 255 bytes, no message longer than 512', () => {
  const label = `3f${'61'.repeat(63)}`;
  assert.equal(answerQuery(query(hex(`${label.repeat(4)} 00 000c 0001`)), nameOf).kind, 'malformed');
  assert.equal(answerQuery(query(hex(`${label.repeat(3)} 00 000c 0001`)), nameOf).kind, 'unknown');
  assert.equal(answerQuery(Buffer.concat([query(question(ADDRESS)), Buffer.alloc(423)]), nameOf).kind, 'ignored');
});

test('any bytes: an outcome, never longer than a question and a record, never about somebody else', () => {
  const tail = fc.oneof(fc.uint8Array({ maxLength: 600 }), fc.constant(Uint8Array.from(question(ADDRESS))));
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 12, maxLength: 12 }), tail, fc.boolean(), (head, rest, tame) => {
      const start = tame ? hex('dec3 0000 0001 0000 0000 0000') : Buffer.from(head);
      const bytes = Buffer.concat([start, rest]);
      const before = Buffer.from(bytes);
      const outcome = answerQuery(bytes, nameOf);
      assert.deepEqual(bytes, before);
      if (outcome.kind === 'ignored') return;
      assert.ok(outcome.reply.length <= Math.max(12, bytes.length) + 74);
      assert.equal((outcome.reply[2] ?? 0) & 0x80, 0x80);
      assert.ok(!outcome.reply.includes(HIDDEN));
    }),
    { numRuns: 20_000, interruptAfterTimeLimit: 1_000 },
  );
});
