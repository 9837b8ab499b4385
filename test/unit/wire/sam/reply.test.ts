/** One line into its values, and a RESULT into what it means: every line that a router was heard to say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { GateError } from '../../../../src/kit/errors.ts';
import { expectOk, parseReply, type SamSubject } from '../../../../src/wire/sam/reply.ts';
import { gateError } from '../../kit/support.ts';
import { NO_ANSWERS, NODE, RECORDED } from './replies.ts';

for (const { from, line, asked, means, values } of RECORDED) {
  test(`${from}: ${line.slice(0, 100)} is ${means}`, () => {
    const reply = parseReply(line);
    assert.equal(reply.subject, line.split(' ').slice(0, 2).join(' '));
    for (const [name, value] of Object.entries(values ?? {})) assert.equal(reply.values.get(name), value);
    if (means === 'ok') assert.deepEqual(expectOk(line, asked), reply);
    else gateError(means, () => expectOk(line, asked));
  });
}

test('a session that stands already is one thing in three spellings, and can be told from other refusals', () => {
  const codes = RECORDED.filter(
    ({ line, asked }) => asked === 'SESSION STATUS' && /DUPLICATED_DEST|duplicate destination/.test(line),
  ).map(({ line }) => gateError('router-refused', () => expectOk(line, 'SESSION STATUS')).code);
  assert.equal(codes.length, 2);
  assert.equal(new Set(codes).size, 1);
  const others = ['RESULT=DUPLICATED_ID', 'RESULT=I2P_ERROR', 'RESULT=TIMEOUT', 'RESULT=SOMETHING_NEW'].map(
    (result) => gateError('router-refused', () => expectOk(`SESSION STATUS ${result}`, 'SESSION STATUS')).code,
  );
  assert.ok(!others.includes(String(codes[0])));
});

test('Java I2P with a password says the same thing in both cases', () => {
  const codes = ['USER and PASSWORD required', 'Authorization failed'].map(
    (message) =>
      gateError('router-refused', () => expectOk(`HELLO REPLY RESULT=I2P_ERROR MESSAGE="${message}"`, 'HELLO REPLY'))
        .code,
  );
  assert.deepEqual(codes, ['sam.authorization', 'sam.authorization']);
});

const SUBJECTS: readonly SamSubject[] = [
  'HELLO REPLY',
  'SESSION STATUS',
  'STREAM STATUS',
  'NAMING REPLY',
  'DEST REPLY',
];

test('what is no answer to the command is an error of the protocol', () => {
  for (const asked of SUBJECTS) {
    for (const line of NO_ANSWERS) gateError('router-protocol', () => expectOk(line, asked));
    for (const other of SUBJECTS) {
      if (other !== asked) gateError('router-protocol', () => expectOk(`${other} RESULT=OK`, asked));
    }
  }
});

test('an answer without a RESULT is an error, except where success has none', () => {
  for (const asked of SUBJECTS) {
    if (asked === 'DEST REPLY') assert.ok(expectOk('DEST REPLY PUB=a PRIV=b', asked));
    else assert.throws(() => expectOk(`${asked} VERSION=3.1 DESTINATION=x`, asked), GateError);
  }
});

test('a RESULT that nobody has heard of is a refusal, and its word does not get anywhere unchecked', () => {
  for (const asked of SUBJECTS) {
    const word = gateError('router-refused', () => expectOk(`${asked} RESULT=BRAND_NEW_2`, asked));
    assert.equal(word.facts['result'], 'BRAND_NEW_2');
    for (const odd of [
      'RESULT=',
      'RESULT="OK "',
      'RESULT="\u001b[31mred"',
      `RESULT=${'A'.repeat(500)}`,
      `RESULT=${NODE.keys}`,
      'RESULT=ok',
    ]) {
      const error = gateError('router-refused', () => expectOk(`${asked} ${odd}`, asked));
      assert.ok(String(error.facts['result'] ?? '').length <= 40);
      for (const part of ['\u001b', 'A'.repeat(45)]) assert.ok(!inspect(error).includes(part));
    }
  }
});

test('no error repeats what the router quotes: names, destinations and keys stay out of it', () => {
  for (const asked of SUBJECTS) {
    for (const quoted of [NODE.keys, NODE.base64, 'secret.i2p', NODE.b32]) {
      const line = `${asked} RESULT=I2P_ERROR MESSAGE="about ${quoted}" NAME=${quoted} DESTINATION=${quoted}`;
      const text = inspect(
        gateError('router-refused', () => expectOk(line, asked)),
        { depth: 9 },
      );
      assert.ok(!text.includes(quoted.slice(0, 10)), text);
    }
  }
});

const READ: ReadonlyArray<readonly [line: string, values: Readonly<Record<string, string>>]> = [
  ['A B X=1 Y=2', { X: '1', Y: '2' }],
  ['A B  X=1   Y=2 ', { X: '1', Y: '2' }],
  ['A B KEY=abc==', { KEY: 'abc==' }],
  ['A B KEY=abc= NEXT=d', { KEY: 'abc=', NEXT: 'd' }],
  ['A B KEY==', { KEY: '=' }],
  ['A B EMPTY= NEXT=1', { EMPTY: '', NEXT: '1' }],
  ['A B EMPTY="" NEXT=1', { EMPTY: '', NEXT: '1' }],
  ['A B LAST=', { LAST: '' }],
  ['A B M="two words" N=1', { M: 'two words', N: '1' }],
  ['A B M="  blanks  "', { M: '  blanks  ' }],
  ['A B M="a=b RESULT=OK" RESULT=NO', { M: 'a=b RESULT=OK', RESULT: 'NO' }],
  ['A B M="say \\"hi\\" now" N=1', { M: 'say "hi" now', N: '1' }],
  ['A B M="back\\\\slash" N=1', { M: 'back\\slash', N: '1' }],
  ['A B M="ends in one\\\\" N=1', { M: 'ends in one\\', N: '1' }],
  ['A B M=bare\\slash', { M: 'bare\\slash' }],
  ['A B FLAG X=1', { X: '1' }],
  ['A B FLAG', {}],
  ['A B X=1 X=2', { X: '1' }],
  ['A B UNKNOWN_KEY=1 i2cp.option=2 X=3', { UNKNOWN_KEY: '1', 'i2cp.option': '2', X: '3' }],
  ['A B U=https://geti2p.net/?a=b&c=d', { U: 'https://geti2p.net/?a=b&c=d' }],
  ['A B __proto__=1 constructor=2', { ['__proto__']: '1', constructor: '2' }],
];

for (const [line, values] of READ) {
  test(`reads ${line}`, () => {
    const reply = parseReply(line);
    assert.equal(reply.subject, 'A B');
    assert.deepEqual([...reply.values].sort(), Object.entries(values).sort());
  });
}

test('a RESULT inside a message does not count', () => {
  gateError('router-refused', () =>
    expectOk('SESSION STATUS MESSAGE="all is well RESULT=OK" RESULT=I2P_ERROR', 'SESSION STATUS'),
  );
  gateError('router-refused', () =>
    expectOk('SESSION STATUS RESULT=I2P_ERROR MESSAGE="all is well RESULT=OK"', 'SESSION STATUS'),
  );
});

test('the longest line of garbage takes no time worth mentioning', () => {
  for (const piece of ['a', '=', '"', '\\', 'a=', 'a="', '" ', 'a ', '="\\', 'a.']) {
    const line = piece.repeat(Math.floor((16 * 1024) / piece.length));
    // Of this process alone, however busy the machine is.
    const before = process.cpuUsage();
    parseReply(line);
    parseReply(`A B M="${line}`);
    const { user } = process.cpuUsage(before);
    assert.ok(user < 100_000, `${user} us for ${JSON.stringify(piece)}`);
  }
});
