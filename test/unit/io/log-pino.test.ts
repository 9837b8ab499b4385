import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeys } from '../../../src/io/key-generate.ts';
import { createPinoLogger, scrub } from '../../../src/io/log-pino.ts';

const KEYS = generateKeys();
const B32 = KEYS.destination.b32;

function logged(
  act: (log: ReturnType<typeof createPinoLogger>) => void,
  level: Parameters<typeof createPinoLogger>[0] = 'trace',
) {
  const lines: string[] = [];
  act(createPinoLogger(level, { write: (line: string) => void lines.push(line) }));
  return lines;
}

test('a line has level, time, facts and message, and nothing that tells the machine', () => {
  const [line = ''] = logged((log) => log.warn('attention', { count: 3, flag: true, missing: undefined }));
  const { time, ...rest } = JSON.parse(line);
  assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000);
  assert.deepEqual(rest, { level: 'warn', count: 3, flag: true, msg: 'attention' });
});

test('keeps to its level', () => {
  const lines = logged((log) => {
    log.trace('a');
    log.debug('b');
    log.info('c');
    log.warn('d');
    log.error('e');
  }, 'warn');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).msg),
    ['d', 'e'],
  );
});

for (const [what, secret] of [
  ['a private key', KEYS.blob.reveal()],
  ['a destination', KEYS.destination.base64],
  ['a b32 name', `${B32}.b32.i2p`],
  ['a bare b32 name', B32],
  ['a b32 name in capitals', B32.toUpperCase()],
  ['a b33 name', `${'a'.repeat(56)}.b32.i2p`],
  ['a short name', `${B32.slice(0, 16)}.oc.b32.i2p`],
  ['an address', 'fd60:db4d:ddb5:54d8:7266:8a0b:fc9c:5163'],
  ['a short address', 'FD60:DB4D:DDB5::1'],
] as const) {
  test(`no line leaves with ${what}`, () => {
    const lines = logged((log) => {
      log.error(`text ${secret} text`);
      log.info('fact', { value: secret, stack: new Error(`cause ${secret}`).stack });
    });
    assert.equal(lines.length, 2);
    for (const line of lines) {
      assert.ok(!line.includes(secret), line);
      assert.doesNotThrow(() => JSON.parse(line));
    }
    assert.match(lines[0] ?? '', /text \[.*\] text/);
  });
}

test('no line leaves with a character that a terminal obeys, in a message or in a fact', () => {
  const hostile = 'red\u001b[31m \u009b2J \u202eevil\u2066 two\r\nlines\u2028';
  const lines = logged((log) => log.error(hostile, { value: hostile }));
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+\n$/u);
  const { msg, value } = JSON.parse(lines[0] ?? '');
  assert.deepEqual([msg, value], [hostile, hostile]);
});

test('what is harmless stays', () => {
  const text = 'an i2pd of our own was started 1234 at 127.0.0.1:9160, ::1 and fd60::1, code sam.session-timeout';
  assert.equal(scrub(text), text);
});
