/**
 * Whole conversations with a bridge: what is said, in which order, and that it makes no difference in which pieces the
 * answers come or what comes right behind them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import type { ErrorKind } from '../../../../src/kit/errors.ts';
import { Sensitive } from '../../../../src/kit/sensitive.ts';
import { type Destination, parsePrivateKeys } from '../../../../src/wire/i2p/destination.ts';
import {
  acceptedPeer,
  armAccept,
  type Conversation,
  connectStream,
  conversationMachine,
  createSession,
  generateKeys,
  hello,
  knowsPorts,
  lookupName,
  receiveLine,
} from '../../../../src/wire/sam/conversation.ts';
import { LONGEST_LINE } from '../../../../src/wire/sam/line.ts';
import { cuts, feed, gateError, inPieces } from '../../kit/support.ts';
import { NO_ANSWERS, NODE, OTHER, RECORDED } from './replies.ts';

const STREAMS = { kind: 'stream' } as const;
const HELLO = 'HELLO VERSION MIN=3.1 MAX=3.3\n';
const OK_31 = 'HELLO REPLY RESULT=OK VERSION=3.1\n';
const OK_33 = 'HELLO REPLY RESULT=OK VERSION=3.3\n';
const STREAM_OK = 'STREAM STATUS RESULT=OK\n';

interface Case {
  readonly name: string;
  readonly begin: () => Conversation<unknown>;
  readonly says: readonly string[];
  readonly hears: string;
  /** The outcome, without what cannot be printed. */
  readonly out: unknown;
}

const node: Destination = parsed(NODE);
const other: Destination = parsed(OTHER);

function parsed({ base64, b32 }: typeof NODE): Destination {
  const made = feed(conversationMachine(acceptedPeer()), [Buffer.from(`${base64}\n`)]).done?.out.from;
  assert.deepEqual(made, { base64, b32 });
  return made ?? assert.fail();
}

const CASES: readonly Case[] = [
  { name: 'hello, 3.1', begin: () => hello(), says: [HELLO], hears: OK_31, out: { major: 3, minor: 1 } },
  { name: 'hello, 3.3', begin: () => hello(), says: [HELLO], hears: OK_33, out: { major: 3, minor: 3 } },
  {
    name: 'hello with a password',
    begin: () => hello({ user: 'u', password: new Sensitive('p w') }),
    says: ['HELLO VERSION MIN=3.1 MAX=3.3 USER=u PASSWORD="p w"\n'],
    hears: OK_33,
    out: { major: 3, minor: 3 },
  },
  {
    name: 'session of a key',
    begin: () =>
      mappedKeys(
        createSession({
          id: 's',
          style: STREAMS,
          keys: parsePrivateKeys(NODE.keys),
          options: { 'inbound.length': '1' },
        }),
      ),
    says: [`SESSION CREATE STYLE=STREAM ID=s DESTINATION=${NODE.keys} inbound.length=1\n`],
    hears: `SESSION STATUS RESULT=OK DESTINATION=${NODE.keys}\n`,
    out: [node, NODE.keys],
  },
  {
    name: 'transient session',
    begin: () => mappedKeys(createSession({ id: 's', style: STREAMS, keys: 'transient', options: {} })),
    says: ['SESSION CREATE STYLE=STREAM ID=s DESTINATION=TRANSIENT SIGNATURE_TYPE=7\n'],
    hears: `SESSION STATUS RESULT=OK DESTINATION=${OTHER.keys} MESSAGE="tunnels stand"\n`,
    out: [other, OTHER.keys],
  },
  {
    name: 'connect over 3.1, which knows no ports',
    begin: () => connectStream({ id: 's', destination: OTHER.base64, port: 80 }),
    says: [HELLO, `STREAM CONNECT ID=s DESTINATION=${OTHER.base64} SILENT=false\n`],
    hears: OK_31 + STREAM_OK,
    out: undefined,
  },
  {
    name: 'connect over 3.2',
    begin: () => connectStream({ id: 's', destination: `${OTHER.b32}.b32.i2p`, port: 80 }),
    says: [HELLO, `STREAM CONNECT ID=s DESTINATION=${OTHER.b32}.b32.i2p SILENT=false TO_PORT=80\n`],
    hears: `HELLO REPLY RESULT=OK VERSION=3.2\n${STREAM_OK}`,
    out: undefined,
  },
  {
    name: 'arming an accept',
    begin: () => armAccept('s'),
    says: [HELLO, 'STREAM ACCEPT ID=s SILENT=false\n'],
    hears: OK_33 + STREAM_OK,
    out: undefined,
  },
  {
    name: "i2pd's from-line",
    begin: acceptedPeer,
    says: [],
    hears: `${OTHER.base64}\n`,
    out: { from: other, fromPort: undefined, toPort: undefined },
  },
  {
    name: "Java's from-line",
    begin: acceptedPeer,
    says: [],
    hears: `${OTHER.base64} FROM_PORT=0 TO_PORT=65535\n`,
    out: { from: other, fromPort: 0, toPort: 65_535 },
  },
  {
    name: 'a from-line with ports that are none',
    begin: acceptedPeer,
    says: [],
    hears: `${OTHER.base64} FROM_PORT=65536 TO_PORT=-1 X=1\n`,
    out: { from: other, fromPort: undefined, toPort: undefined },
  },
  {
    name: 'lookup',
    begin: () => lookupName('x.i2p'),
    says: [HELLO, 'NAMING LOOKUP NAME=x.i2p\n'],
    hears: `${OK_31}NAMING REPLY RESULT=OK NAME=x.i2p VALUE=${OTHER.base64}\n`,
    out: other,
  },
  {
    name: 'lookup, with options of the lease set behind the destination',
    begin: () => lookupName('x.i2p'),
    says: [HELLO, 'NAMING LOOKUP NAME=x.i2p\n'],
    hears: `${OK_33}NAMING REPLY RESULT=OK NAME=x.i2p VALUE=${OTHER.base64} OPTION:a="b c"\n`,
    out: other,
  },
  {
    name: 'making a key',
    begin: () => mappedKeys(generateKeys()),
    says: [HELLO, 'DEST GENERATE SIGNATURE_TYPE=7\n'],
    hears: `${OK_31}DEST REPLY PUB=${NODE.base64} PRIV=${NODE.keys}\n`,
    out: [node, NODE.keys],
  },
  { name: 'one line', begin: receiveLine, says: [], hears: 'PING 1 2\n', out: 'PING 1 2' },
];

function* mappedKeys(conversation: ReturnType<typeof generateKeys>): Conversation<unknown> {
  const keys = yield* conversation;
  return [keys.destination, keys.blob.reveal()];
}

for (const { name, begin, says, hears, out } of CASES) {
  const machine = () => conversationMachine(begin());
  const check = (pieces: readonly Buffer[], rest: string) => {
    const fed = feed(machine(), pieces);
    assert.deepEqual(fed.done, { out });
    assert.equal(fed.rest.toString('latin1'), rest);
    assert.equal(Buffer.concat(fed.sent).toString('latin1'), says.join(''));
  };

  test(`${name}: in any split`, () => {
    for (const pieces of cuts(Buffer.from(hears))) check(pieces, '');
  });

  test(`${name}: lines may end with CRLF`, () => {
    for (const pieces of cuts(Buffer.from(hears.replaceAll('\n', '\r\n')))) check(pieces, '');
  });

  test(`${name}: what comes behind the end stays, in the same segment or in another`, () => {
    const behind = '`\0\0\0\n\xff first bytes of the stream\nRESULT=OK\n';
    const bytes = Buffer.from(hears + behind, 'latin1');
    for (const at of [hears.length - 1, hears.length, hears.length + 1, bytes.length])
      check([bytes.subarray(0, at), bytes.subarray(at)], behind);
    check(inPieces(bytes, [1]), behind);
    check(inPieces(bytes, [3, 5, 2]), behind);
  });

  test(`${name}: each command is one segment and waits for the answer to the one before`, () => {
    const lines = hears.split('\n').slice(0, -1);
    for (let known = 0; known < lines.length; known += 1) {
      const fed = feed(machine(), [
        Buffer.from(
          lines
            .slice(0, known)
            .map((line) => `${line}\n`)
            .join(''),
        ),
      ]);
      assert.equal(fed.done, undefined);
      assert.deepEqual(fed.sent.map(String), says.slice(0, known + 1));
    }
  });

  test(`${name}: no prefix of the answers is enough`, () => {
    for (let at = 0; at < hears.length; at += 1)
      assert.equal(feed(machine(), [Buffer.from(hears.slice(0, at))]).done, undefined);
  });

  test(`${name}: a line that never ends is cut off`, () => {
    const lines = hears.split('\n').slice(0, -1);
    for (let known = 0; known < lines.length; known += 1) {
      const endless = Buffer.concat([
        Buffer.from(
          lines
            .slice(0, known)
            .map((line) => `${line}\n`)
            .join(''),
        ),
        Buffer.alloc(LONGEST_LINE + 1, 0x41),
      ]);
      gateError('router-protocol', () => feed(machine(), [endless]));
      gateError('router-protocol', () => feed(machine(), inPieces(endless, [1000])));
    }
  });
}

const ASKING: Readonly<Record<string, () => Conversation<unknown>>> = {
  'HELLO REPLY': () => hello(),
  'SESSION STATUS': function* () {
    yield* hello();
    return yield* createSession({ id: 's', style: STREAMS, keys: 'transient', options: {} });
  },
  'STREAM STATUS': () => connectStream({ id: 's', destination: 'd', port: 0 }),
  'NAMING REPLY': () => lookupName('x.i2p'),
  'DEST REPLY': () => generateKeys(),
};

test('every refusal that was recorded ends its conversation with its kind, in any split', () => {
  for (const { line, asked, means } of RECORDED) {
    if (means === 'ok') continue;
    const begin = ASKING[asked] ?? assert.fail();
    const before = asked === 'HELLO REPLY' ? '' : OK_33;
    const bytes = Buffer.from(`${before}${line}\n`);
    for (const pieces of [[bytes], inPieces(bytes, [1]), inPieces(bytes, [50])]) {
      gateError(means, () => feed(conversationMachine(begin()), pieces));
    }
  }
});

test('a refused greeting ends every conversation before its command', () => {
  for (const begin of Object.values(ASKING)) {
    const machine = conversationMachine(begin());
    assert.equal(machine.step(Buffer.alloc(0)).kind, 'send');
    assert.equal(machine.step(Buffer.alloc(0)).kind, 'receive');
    gateError('router-refused', () => machine.step(Buffer.from('HELLO REPLY RESULT=NOVERSION\n')));
  }
});

test('lines that are no answer end every conversation as an error of the protocol', () => {
  for (const [asked, begin] of Object.entries(ASKING)) {
    for (const line of NO_ANSWERS) {
      const before = asked === 'HELLO REPLY' ? '' : OK_33;
      gateError('router-protocol', () => feed(conversationMachine(begin()), [Buffer.from(`${before}${line}\n`)]));
    }
  }
});

const UNREADABLE: ReadonlyArray<readonly [name: string, begin: () => Conversation<unknown>, hears: string]> = [
  ['hello without a version', () => hello(), 'HELLO REPLY RESULT=OK\n'],
  ['hello with half a version', () => hello(), 'HELLO REPLY RESULT=OK VERSION=3\n'],
  ['hello with an odd version', () => hello(), 'HELLO REPLY RESULT=OK VERSION=3.x\n'],
  ['a session without a key', ASKING['SESSION STATUS'] ?? assert.fail, `${OK_33}SESSION STATUS RESULT=OK\n`],
  [
    'a session with half a key',
    ASKING['SESSION STATUS'] ?? assert.fail,
    `${OK_33}SESSION STATUS RESULT=OK DESTINATION=${NODE.keys.slice(0, 500)}\n`,
  ],
  [
    'a session whose key lost its padding',
    ASKING['SESSION STATUS'] ?? assert.fail,
    `${OK_33}SESSION STATUS RESULT=OK DESTINATION=${NODE.keys.replace(/=+$/, '').slice(0, -1)}\n`,
  ],
  [
    'a session that shows only the public part',
    ASKING['SESSION STATUS'] ?? assert.fail,
    `${OK_33}SESSION STATUS RESULT=OK DESTINATION=${NODE.base64}\n`,
  ],
  [
    "a session with another key than the gateway's",
    () => createSession({ id: 's', style: STREAMS, keys: parsePrivateKeys(OTHER.keys), options: {} }),
    `SESSION STATUS RESULT=OK DESTINATION=${NODE.keys}\n`,
  ],
  ['a lookup without a value', ASKING['NAMING REPLY'] ?? assert.fail, `${OK_33}NAMING REPLY RESULT=OK NAME=x.i2p\n`],
  [
    'a lookup with a cut value',
    ASKING['NAMING REPLY'] ?? assert.fail,
    `${OK_33}NAMING REPLY RESULT=OK NAME=x.i2p VALUE=${NODE.base64.slice(0, -4)}\n`,
  ],
  ['a made key without a private part', ASKING['DEST REPLY'] ?? assert.fail, `${OK_33}DEST REPLY PUB=${NODE.base64}\n`],
  [
    'a made key that is cut',
    ASKING['DEST REPLY'] ?? assert.fail,
    `${OK_33}DEST REPLY PUB=${NODE.base64} PRIV=${NODE.keys.slice(0, 601)}\n`,
  ],
  ['an accept with an empty line', acceptedPeer, '\n'],
  ['an accept with a blank before the destination', acceptedPeer, ` ${NODE.base64}\n`],
  ['an accept with garbage', acceptedPeer, 'GET / HTTP/1.1\n'],
  ['an accept with a cut destination', acceptedPeer, `${NODE.base64.slice(0, 520)}\n`],
  ['an accept with the private part as well', acceptedPeer, `${NODE.keys}\n`],
  ['an accept that is OK a second time', acceptedPeer, STREAM_OK],
];

for (const [name, begin, hears] of UNREADABLE) {
  test(`${name} is the router's fault, and the error shows nothing of it`, () => {
    const error = gateError('router-protocol', () => feed(conversationMachine(begin()), [Buffer.from(hears)]));
    const text = inspect(error, { depth: 9, showHidden: true });
    for (const secret of [NODE.keys.slice(0, 12), NODE.keys.slice(540, 552)]) assert.ok(!text.includes(secret), text);
  });
}

/** Java I2P ends an armed accept with a status line when the session goes. */
const ENDED: ReadonlyArray<readonly [line: string, kind: ErrorKind]> = [
  ['STREAM STATUS RESULT=INVALID_ID MESSAGE="STREAM SESSION ID x does not exist"', 'session-lost'],
  ['STREAM STATUS RESULT=I2P_ERROR MESSAGE="Session closed"', 'router-refused'],
  ['STREAM STATUS RESULT=CANT_REACH_PEER', 'peer-unreachable'],
];

for (const [line, kind] of ENDED) {
  test(`an armed accept that ends with ${line} is ${kind}`, () => {
    gateError(kind, () => feed(conversationMachine(acceptedPeer()), [Buffer.from(`${line}\n`)]));
  });
}

test('ports, and PING, came with 3.2', () => {
  const versions = [
    [3, 0],
    [3, 1],
    [3, 2],
    [3, 3],
    [4, 0],
    [2, 9],
    [0, 3],
  ] as const;
  assert.deepEqual(
    versions.map(([major, minor]) => knowsPorts({ major, minor })),
    [false, false, true, true, true, false, false],
  );
});

test('a second conversation on the same connection gets what came behind the first', () => {
  const armed = feed(conversationMachine(armAccept('s')), [Buffer.from(`${OK_31}${STREAM_OK}${OTHER.base64}\n\`data`)]);
  assert.ok(armed.done);
  const peer = feed(conversationMachine(acceptedPeer()), [armed.rest]);
  assert.deepEqual(peer.done, { out: { from: other, fromPort: undefined, toPort: undefined } });
  assert.equal(peer.rest.toString(), '`data');
});
