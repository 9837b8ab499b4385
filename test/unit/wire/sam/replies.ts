/**
 * What three routers said to single commands and on streams, word for word, and what we take it for. Noted by talking to
 * i2pd 2.45.1, i2pd 2.59.0 and Java I2P on private networks; the base64 in them stands for that of made-up keys.
 */
import type { ErrorKind } from '../../../../src/kit/errors.ts';
import type { SamSubject } from '../../../../src/wire/sam/reply.ts';
import { madeUp } from '../i2p/fixtures.ts';

export const NODE = madeUp(20);
export const OTHER = madeUp(21);

export interface Recorded {
  readonly from: string;
  readonly line: string;
  readonly asked: SamSubject;
  /** `ok`, or the kind of the error. */
  readonly means: 'ok' | ErrorKind;
  /** Values that must be read. */
  readonly values?: Readonly<Record<string, string>>;
}

type Row = readonly [from: string, line: string, means: 'ok' | ErrorKind, values?: Readonly<Record<string, string>>];

const HELLO: readonly Row[] = [
  ['all', 'HELLO REPLY RESULT=OK VERSION=3.1', 'ok', { RESULT: 'OK', VERSION: '3.1' }],
  ['i2pd', 'HELLO REPLY RESULT=OK VERSION=3.0', 'ok', { VERSION: '3.0' }],
  ['i2pd 2.59, Java', 'HELLO REPLY RESULT=OK VERSION=3.2', 'ok', { VERSION: '3.2' }],
  ['i2pd 2.59, Java', 'HELLO REPLY RESULT=OK VERSION=3.3', 'ok', { VERSION: '3.3' }],
  ['i2pd 2.59', 'HELLO REPLY RESULT=OK VERSION=0.3', 'ok', { VERSION: '0.3' }],
  ['i2pd 2.59, Java', 'HELLO REPLY RESULT=OK VERSION=1.0', 'ok', { VERSION: '1.0' }],
  ['all', 'HELLO REPLY RESULT=NOVERSION', 'router-refused', { RESULT: 'NOVERSION' }],
  [
    'Java',
    'HELLO REPLY RESULT=I2P_ERROR MESSAGE="Must start with HELLO VERSION"',
    'router-refused',
    { RESULT: 'I2P_ERROR', MESSAGE: 'Must start with HELLO VERSION' },
  ],
];

const DEST: readonly Row[] = [
  ['all', `DEST REPLY PUB=${NODE.base64} PRIV=${NODE.keys}`, 'ok', { PUB: NODE.base64, PRIV: NODE.keys }],
  [
    'Java',
    'DEST REPLY RESULT=I2P_ERROR MESSAGE="SIGNATURE_TYPE 9 unsupported"',
    'router-refused',
    { MESSAGE: 'SIGNATURE_TYPE 9 unsupported' },
  ],
  ['Java', 'DEST REPLY RESULT=I2P_ERROR MESSAGE="SIGNATURE_TYPE bogus unsupported"', 'router-refused'],
];

const NAMING: readonly Row[] = [
  ['i2pd', `NAMING REPLY RESULT=OK NAME=ME VALUE=${NODE.base64}`, 'ok', { NAME: 'ME', VALUE: NODE.base64 }],
  ['i2pd', 'NAMING REPLY RESULT=INVALID_KEY NAME=', 'name-unknown', { RESULT: 'INVALID_KEY', NAME: '' }],
  ['i2pd', 'NAMING REPLY RESULT=INVALID_KEY NAME=nosuch.i2p', 'name-unknown', { NAME: 'nosuch.i2p' }],
  ['i2pd', 'NAMING REPLY RESULT=INVALID_KEY NAME=xxx', 'name-unknown', { NAME: 'xxx' }],
  [
    'Java',
    'NAMING REPLY RESULT=KEY_NOT_FOUND NAME="" MESSAGE="Must specify NAME"',
    'name-unknown',
    { NAME: '', MESSAGE: 'Must specify NAME' },
  ],
  ['Java', 'NAMING REPLY RESULT=KEY_NOT_FOUND NAME=nosuch.i2p', 'name-unknown', { NAME: 'nosuch.i2p' }],
  ['Java', 'NAMING REPLY RESULT=KEY_NOT_FOUND NAME=true', 'name-unknown'],
  ['Java', 'NAMING REPLY RESULT=KEY_NOT_FOUND NAME=xxx', 'name-unknown'],
];

const SESSION: readonly Row[] = [
  ['all', `SESSION STATUS RESULT=OK DESTINATION=${NODE.keys}`, 'ok', { DESTINATION: NODE.keys }],
  ['all', 'SESSION STATUS RESULT=DUPLICATED_ID', 'router-refused', { RESULT: 'DUPLICATED_ID' }],
  ['the specification', 'SESSION STATUS RESULT=DUPLICATED_DEST', 'router-refused'],
  ['i2pd', 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="Unknown STYLE"', 'router-refused', { MESSAGE: 'Unknown STYLE' }],
  ['i2pd', 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="Invalid IP Address in HOST"', 'router-refused'],
  ['i2pd', 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="Wrong session type"', 'router-refused'],
  ['i2pd', 'SESSION STATUS RESULT=INVALID_ID', 'router-refused'],
  ['i2pd, Java', 'SESSION STATUS RESULT=INVALID_KEY', 'config'],
  ['i2pd 2.59', 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="Invalid port"', 'router-refused'],
  ['i2pd 2.59', 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="Missing ID"', 'router-refused'],
  ['i2pd 2.59', 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="Socket already in use"', 'router-refused'],
  ['Java', 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="Unrecognized opcode"', 'router-refused'],
  ['Java', 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="ID not specified"', 'router-refused'],
  ['Java', 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="No SESSION STYLE specified"', 'router-refused'],
  ['Java', 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="DESTINATION not specified"', 'router-refused'],
  ['Java', 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="Unrecognized SESSION STYLE"', 'router-refused'],
  ['Java', 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="No manager yet"', 'router-refused'],
  ['Java', 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="Not a PRIMARY session"', 'router-refused'],
  ['Java', 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="Session already exists"', 'router-refused'],
  [
    'Java',
    'SESSION STATUS RESULT=I2P_ERROR MESSAGE="Error creating I2PSocketManager: No manager yet"',
    'router-refused',
    { MESSAGE: 'Error creating I2PSocketManager: No manager yet' },
  ],
  [
    'Java',
    'SESSION STATUS RESULT=I2P_ERROR MESSAGE="Error creating I2PSocketManager: [SAM TCP Client(CLOSED)]: Failed to build tunnels - Disconnected from router while waiting for tunnels: duplicate destination"',
    'router-refused',
  ],
];

const STREAM: readonly Row[] = [
  ['all', 'STREAM STATUS RESULT=OK', 'ok', { RESULT: 'OK' }],
  ['i2pd', 'STREAM STATUS RESULT=INVALID_ID', 'session-lost'],
  ['Java', 'STREAM STATUS RESULT=INVALID_ID MESSAGE="STREAM SESSION ID none does not exist"', 'session-lost'],
  ['Java', 'STREAM STATUS RESULT=I2P_ERROR MESSAGE="ID not specified"', 'router-refused'],
  [
    'Java',
    'STREAM STATUS RESULT=I2P_ERROR MESSAGE="Forwarding failed : an accepting server is already defined for this destination"',
    'router-refused',
  ],
  ['Java', 'STREAM STATUS RESULT=I2P_ERROR MESSAGE="v3 control socket cannot be used for STREAM"', 'router-refused'],
  ['i2pd 2.45', 'STREAM STATUS RESULT=CANT_REACH_PEER', 'peer-unreachable'],
  ['i2pd 2.59', 'STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE="LeaseSet not found"', 'peer-unreachable'],
  [
    'i2pd 2.59',
    'STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE="Can\'t connect to myself"',
    'peer-unreachable',
    { MESSAGE: "Can't connect to myself" },
  ],
  [
    'Java',
    'STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE="local loopback denied, set i2cp.disableLoopback=true to test sending to yourself through tunnels"',
    'peer-unreachable',
    { RESULT: 'CANT_REACH_PEER' },
  ],
  ['Java', 'STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE="Connection reset"', 'peer-refused'],
  ['i2pd', 'STREAM STATUS RESULT=INVALID_KEY', 'name-invalid'],
  ['Java', 'STREAM STATUS RESULT=INVALID_KEY MESSAGE="Host name not found: abcd"', 'name-invalid'],
  ['Java', `STREAM STATUS RESULT=INVALID_KEY MESSAGE="Bad Base64 dest: ${NODE.base64}"`, 'name-invalid'],
  [
    'Java',
    'STREAM STATUS RESULT=INVALID_KEY MESSAGE="Lease set not found: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b32.i2p"',
    'peer-unreachable',
  ],
  ['the specification', 'STREAM STATUS RESULT=TIMEOUT', 'peer-timeout'],
  // i2pd 2.59 answers a STREAM command on a used socket as if it were about a session.
  ['i2pd 2.59', 'SESSION STATUS RESULT=I2P_ERROR MESSAGE="Socket already in use"', 'router-refused'],
];

/** Said on the control connection, and an answer to nothing that is asked. */
export const NO_ANSWERS: readonly string[] = [
  'PONG',
  'PONG abc def',
  'QUIT STATUS RESULT=OK MESSAGE=bye',
  'STOP STATUS RESULT=OK MESSAGE=bye',
  'EXIT STATUS RESULT=OK MESSAGE=bye',
  'HELP STATUS RESULT=OK MESSAGE=https://geti2p.net/en/docs/api/samv3',
  '',
  ' ',
  'HELLO',
  'OK',
  'RESULT=OK',
  'hello reply RESULT=OK VERSION=3.1',
  'HTTP/1.1 400 Bad Request',
  '220 mail.example ESMTP',
  NODE.base64,
];

function rows(asked: SamSubject, table: readonly Row[]): Recorded[] {
  return table.map(([from, line, means, values]) => ({
    from,
    line,
    asked,
    means,
    ...(values === undefined ? {} : { values }),
  }));
}

export const RECORDED: readonly Recorded[] = [
  ...rows('HELLO REPLY', HELLO),
  ...rows('DEST REPLY', DEST),
  ...rows('NAMING REPLY', NAMING),
  ...rows('SESSION STATUS', SESSION),
  ...rows('STREAM STATUS', STREAM),
];
