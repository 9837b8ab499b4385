/** Commands, byte for byte: bare values wherever a bridge can take them, and nothing that could begin another command. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { GateError } from '../../../../src/kit/errors.ts';
import { Sensitive } from '../../../../src/kit/sensitive.ts';
import { parsePrivateKeys } from '../../../../src/wire/i2p/destination.ts';
import {
  acceptCommand,
  connectCommand,
  generateCommand,
  helloCommand,
  lookupCommand,
  pingCommand,
  pongCommand,
  sessionCommand,
} from '../../../../src/wire/sam/command.ts';
import { NODE, OTHER } from './replies.ts';

const STREAMS = { kind: 'stream' } as const;

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
const secret = (value: string) => new Sensitive(value);
const KEYS = parsePrivateKeys(NODE.keys);

const COMMANDS: ReadonlyArray<readonly [bytes: Uint8Array, line: string]> = [
  [helloCommand(), 'HELLO VERSION MIN=3.1 MAX=3.3'],
  [
    helloCommand({ user: 'me', password: secret('swordfish') }),
    'HELLO VERSION MIN=3.1 MAX=3.3 USER=me PASSWORD=swordfish',
  ],
  [helloCommand({ user: 'me', password: secret('b c') }), 'HELLO VERSION MIN=3.1 MAX=3.3 USER=me PASSWORD="b c"'],
  [
    helloCommand({ user: 'a"b', password: secret('c\\d e') }),
    'HELLO VERSION MIN=3.1 MAX=3.3 USER="a\\"b" PASSWORD="c\\\\d e"',
  ],
  [
    helloCommand({ user: "a'b=c", password: secret('!#$%&()*+,-./:;<>?@[]^_`{|}~') }),
    "HELLO VERSION MIN=3.1 MAX=3.3 USER=a'b=c PASSWORD=!#$%&()*+,-./:;<>?@[]^_`{|}~",
  ],
  [
    sessionCommand({ id: 'gate1', style: STREAMS, keys: 'transient', options: {} }),
    'SESSION CREATE STYLE=STREAM ID=gate1 DESTINATION=TRANSIENT SIGNATURE_TYPE=7',
  ],
  [
    sessionCommand({
      id: 'gate1',
      style: STREAMS,
      keys: KEYS,
      options: { 'inbound.length': '3', 'outbound.length': '3', 'i2cp.leaseSetEncType': '4,0' },
    }),
    `SESSION CREATE STYLE=STREAM ID=gate1 DESTINATION=${NODE.keys} inbound.length=3 outbound.length=3 i2cp.leaseSetEncType=4,0`,
  ],
  [
    sessionCommand({ id: 'gate1', style: STREAMS, keys: 'transient', options: { 'inbound.nickname': 'my gate' } }),
    'SESSION CREATE STYLE=STREAM ID=gate1 DESTINATION=TRANSIENT SIGNATURE_TYPE=7 inbound.nickname="my gate"',
  ],
  [
    sessionCommand({
      id: 'd1',
      style: { kind: 'datagram', forwardTo: undefined },
      keys: 'transient',
      options: { 'inbound.length': '1' },
    }),
    'SESSION CREATE STYLE=DATAGRAM ID=d1 DESTINATION=TRANSIENT SIGNATURE_TYPE=7 inbound.length=1',
  ],
  [
    sessionCommand({
      id: 'd1',
      style: { kind: 'datagram', forwardTo: { address: '127.0.0.1', port: 4000 } },
      keys: KEYS,
      options: {},
    }),
    `SESSION CREATE STYLE=DATAGRAM ID=d1 PORT=4000 HOST=127.0.0.1 DESTINATION=${NODE.keys}`,
  ],
  [
    connectCommand({ id: 'gate1', destination: OTHER.base64, toPort: undefined }),
    `STREAM CONNECT ID=gate1 DESTINATION=${OTHER.base64} SILENT=false`,
  ],
  [
    connectCommand({ id: 'gate1', destination: OTHER.base64, toPort: 80 }),
    `STREAM CONNECT ID=gate1 DESTINATION=${OTHER.base64} SILENT=false TO_PORT=80`,
  ],
  [
    connectCommand({ id: 'gate1', destination: `${OTHER.b32}.b32.i2p`, toPort: 0 }),
    `STREAM CONNECT ID=gate1 DESTINATION=${OTHER.b32}.b32.i2p SILENT=false TO_PORT=0`,
  ],
  [acceptCommand('gate1'), 'STREAM ACCEPT ID=gate1 SILENT=false'],
  [lookupCommand('x.i2p'), 'NAMING LOOKUP NAME=x.i2p'],
  [lookupCommand('ME'), 'NAMING LOOKUP NAME=ME'],
  [generateCommand(), 'DEST GENERATE SIGNATURE_TYPE=7'],
  [pingCommand('12'), 'PING 12'],
  [pongCommand('12 34'), 'PONG 12 34'],
  [pongCommand(''), 'PONG'],
];

for (const [bytes, line] of COMMANDS) {
  test(line.slice(0, 90), () => {
    assert.equal(text(bytes), `${line}\n`);
  });
}

/** Every place where a text from outside can get into a command. */
const PLACES: Readonly<Record<string, (value: string) => Uint8Array>> = {
  user: (user) => helloCommand({ user, password: secret('p') }),
  password: (value) => helloCommand({ user: 'u', password: secret(value) }),
  id: (id) => sessionCommand({ id, style: STREAMS, keys: 'transient', options: {} }),
  keys: (value) => sessionCommand({ id: 'i', style: STREAMS, keys: { ...KEYS, blob: secret(value) }, options: {} }),
  'option value': (value) => sessionCommand({ id: 'i', style: STREAMS, keys: 'transient', options: { option: value } }),
  'option name': (name) => sessionCommand({ id: 'i', style: STREAMS, keys: 'transient', options: { [name]: '1' } }),
  'connect id': (id) => connectCommand({ id, destination: 'd', toPort: 1 }),
  destination: (destination) => connectCommand({ id: 'i', destination, toPort: 1 }),
  'accept id': (id) => acceptCommand(id),
  'looked-up name': (name) => lookupCommand(name),
  ping: (value) => pingCommand(value),
  pong: (value) => pongCommand(value),
};

const BREAKING = ['a\nQUIT', 'a\r\nQUIT', '\n', 'a\n', 'a\u010aQUIT', 'a\u0a0aQUIT', 'a\u{1f60a}b'];

for (const [place, make] of Object.entries(PLACES)) {
  test(`${place}: no text begins a second line`, () => {
    for (const value of BREAKING) assert.throws(() => make(value), GateError, JSON.stringify(value));
  });

  test(`${place}: any text makes one line, or is refused`, () => {
    const letter = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 1 }),
      fc.constantFrom(...'a =".\\\r\n\0\x7f\xff\u010a'),
    );
    fc.assert(
      fc.property(fc.array(letter, { maxLength: 8 }), (letters) => {
        let line: string;
        try {
          line = text(make(letters.join('')));
        } catch (error) {
          assert.ok(error instanceof GateError, String(error));
          return;
        }
        assert.equal(line.indexOf('\n'), line.length - 1);
        if (place !== 'pong') assert.match(line, /^[\x20-\x7e]+\n$/);
      }),
      { numRuns: 300, interruptAfterTimeLimit: 400 },
    );
  });

  if (!/ping|pong/.test(place)) {
    test(`${place}: control characters, what is not ASCII, and nothing at all are refused`, () => {
      for (const value of ['', 'a\0b', 'a\tb', '\x7f', '\x1b[31m', 'ä', '\u200b', '…']) {
        assert.throws(() => make(value), GateError, JSON.stringify(value));
      }
    });
  }
}

test('a blank or a quote in a value never makes a second value', () => {
  const line = text(lookupCommand('x RESULT=OK" Y="1'));
  assert.equal(line, 'NAMING LOOKUP NAME="x RESULT=OK\\" Y=\\"1"\n');
  assert.throws(
    () => sessionCommand({ id: 'i', style: STREAMS, keys: 'transient', options: { 'a=b c': '1' } }),
    GateError,
  );
});

test('no error tells a key or a password', () => {
  for (const keys of [`${NODE.keys}\n`, `\0${NODE.keys}`, `${NODE.keys}ä`]) {
    for (const make of [PLACES['keys'], PLACES['password'], PLACES['option value'], PLACES['destination']]) {
      try {
        make?.(keys);
        assert.fail('nothing was thrown');
      } catch (error) {
        assert.ok(error instanceof GateError, String(error));
        assert.ok(!inspect(error, { depth: 9 }).includes(NODE.keys.slice(10, 22)));
      }
    }
  }
});
