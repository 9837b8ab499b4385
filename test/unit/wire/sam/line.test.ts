/** Lines cut out of a byte stream: where they end, what stays behind them, and how long they may be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineReader, LONGEST_LINE } from '../../../../src/wire/sam/line.ts';
import { cuts, gateError } from '../../kit/support.ts';

/** Lines of a stream that comes in these pieces. */
function linesOf(pieces: readonly Buffer[]): { lines: string[]; rest: string } {
  const reader = new LineReader();
  const lines: string[] = [];
  let rest = '';
  for (const piece of pieces) {
    let left: Uint8Array = piece;
    rest += piece.toString('latin1');
    for (let taken = reader.push(left); taken !== undefined; taken = reader.push(left)) {
      lines.push(taken.line);
      left = taken.rest;
      rest = Buffer.from(left).toString('latin1');
      if (left.length === 0) break;
    }
  }
  return { lines, rest };
}

const STREAMS: ReadonlyArray<readonly [text: string, lines: readonly string[], rest: string]> = [
  ['', [], ''],
  ['half', [], 'half'],
  ['one\n', ['one'], ''],
  ['one\ntwo\nhalf', ['one', 'two'], 'half'],
  ['\n\n', ['', ''], ''],
  ['one\r\ntwo\r\n', ['one', 'two'], ''],
  ['one\r\r\n', ['one\r'], ''],
  ['a\rb\n', ['a\rb'], ''],
  ['\r\n', [''], ''],
  ['with \0 and \xff\n', ['with \0 and \xff'], ''],
];

for (const [text, lines, rest] of STREAMS) {
  test(`${JSON.stringify(text)} in any split`, () => {
    for (const pieces of cuts(Buffer.from(text, 'latin1'))) assert.deepEqual(linesOf(pieces), { lines, rest });
  });
}

test('what was pushed may be overwritten afterwards', () => {
  const reader = new LineReader();
  const piece = Buffer.from('first ');
  reader.push(piece);
  piece.fill(0x78);
  assert.equal(reader.push(Buffer.from('second\n'))?.line, 'first second');
});

test('a line as long as the cap is read, in any size of pieces', () => {
  const line = 'x'.repeat(LONGEST_LINE);
  for (const size of [1, 7, 1000, LONGEST_LINE, LONGEST_LINE + 1]) {
    const reader = new LineReader();
    const bytes = Buffer.from(`${line}\n`);
    let read: string | undefined;
    for (let at = 0; at < bytes.length; at += size) read = reader.push(bytes.subarray(at, at + size))?.line;
    assert.equal(read, line);
  }
});

test('a line over the cap is refused, whether its end comes or not, and before it is held', () => {
  for (const bytes of [
    Buffer.alloc(LONGEST_LINE + 1, 0x78),
    Buffer.alloc(10_000_000, 0x78),
    Buffer.from(`${'x'.repeat(LONGEST_LINE + 1)}\n`),
  ]) {
    gateError('router-protocol', () => new LineReader().push(bytes));
  }
  const reader = new LineReader();
  const error = gateError('router-protocol', () => {
    for (let turn = 0; turn <= LONGEST_LINE; turn += 1) reader.push(Buffer.from([0x78]));
  });
  assert.ok(!error.message.includes('xxxx'));
});

test('the cap is for one line, not for the connection', () => {
  const reader = new LineReader();
  for (let turn = 0; turn < 10; turn += 1) {
    assert.equal(reader.push(Buffer.from(`${'x'.repeat(LONGEST_LINE - 1)}\n`))?.line.length, LONGEST_LINE - 1);
  }
});
