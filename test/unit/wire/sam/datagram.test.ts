/** Datagrams as SAM carries them, over UDP and on the control connection: byte for byte, in any split, and refused whole. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { GateError } from '../../../../src/kit/errors.ts';
import { type Destination, parseDestination } from '../../../../src/wire/i2p/destination.ts';
import { type ControlMessage, conversationMachine, receiveControl } from '../../../../src/wire/sam/conversation.ts';
import { encodeForControl, encodeForUdp, parseForwarded, parseReceived } from '../../../../src/wire/sam/datagram.ts';
import { feed, gateError, inPieces } from '../../kit/support.ts';
import { NODE, OTHER } from './replies.ts';

const other: Destination = parseDestination(OTHER.base64);
/** Holds what could be taken for the end of a line or for a command. */
const PAYLOAD = Buffer.from('a\nPING x\r\n\0\xff DATAGRAM RECEIVED ', 'latin1');

describe('a datagram that leaves', () => {
  const one = { id: 'd1', destination: other, payload: PAYLOAD };
  const ports = { from: 4000, to: 53 };
  const cases: ReadonlyArray<readonly [bytes: Buffer, head: string]> = [
    [encodeForUdp({ ...one, ports: undefined }), `3.0 d1 ${OTHER.base64}\n`],
    [encodeForUdp({ ...one, ports }), `3.2 d1 ${OTHER.base64} FROM_PORT=4000 TO_PORT=53\n`],
    [
      encodeForControl({ ...one, ports: undefined }),
      `DATAGRAM SEND DESTINATION=${OTHER.base64} SIZE=${PAYLOAD.length}\n`,
    ],
    [
      encodeForControl({ ...one, ports }),
      `DATAGRAM SEND DESTINATION=${OTHER.base64} SIZE=${PAYLOAD.length} FROM_PORT=4000 TO_PORT=53\n`,
    ],
  ];
  for (const [bytes, head] of cases) {
    test(head.replace(OTHER.base64, '...').trim(), () => {
      assert.equal(bytes.toString('latin1'), head + PAYLOAD.toString('latin1'));
    });
  }
});

describe('a datagram that is forwarded', () => {
  const heads: ReadonlyArray<readonly [head: string, from: number, to: number]> = [
    // i2pd, and SAM 3.1 at all.
    [`${OTHER.base64}\n`, 0, 0],
    [`${OTHER.base64}\r\n`, 0, 0],
    // Java I2P.
    [`${OTHER.base64} FROM_PORT=4000 TO_PORT=65535\n`, 4000, 65_535],
    [`${OTHER.base64} TO_PORT=1 SOMETHING=else\n`, 0, 1],
  ];
  for (const [head, from, to] of heads) {
    test(head.replace(OTHER.base64, '...').trim(), () => {
      const read = parseForwarded(Buffer.concat([Buffer.from(head), PAYLOAD]));
      assert.deepEqual(read, { sender: other, ports: { from, to }, payload: PAYLOAD });
      assert.equal(parseForwarded(Buffer.from(head)).payload.length, 0);
    });
  }

  test('is copied out of a buffer that is used again', () => {
    const borrowed = Buffer.concat([Buffer.from(`${OTHER.base64}\n`), PAYLOAD]);
    const { payload } = parseForwarded(borrowed);
    borrowed.fill(0);
    assert.deepEqual(payload, PAYLOAD);
  });

  const broken = {
    'without a newline': OTHER.base64,
    'with nothing': '',
    'with an empty line': '\nx',
    'with half a destination': `${OTHER.base64.slice(0, 400)}\nx`,
    'with a private key': `${NODE.keys}\nx`,
    'with a port that is none': `${OTHER.base64} FROM_PORT=65536 TO_PORT=1\nx`,
    'with a port in words': `${OTHER.base64} FROM_PORT=http TO_PORT=1\nx`,
    'with a newline too far away': `${' '.repeat(20_000)}\nx`,
  };
  for (const [name, bytes] of Object.entries(broken)) {
    test(`is refused ${name}`, () => {
      gateError('router-protocol', () => parseForwarded(Buffer.from(bytes)));
    });
  }

  test('is read or refused, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 900 }), fc.boolean(), (bytes, honest) => {
        const head = honest ? Buffer.from(`${OTHER.base64} `) : Buffer.alloc(0);
        try {
          const { ports } = parseForwarded(Buffer.concat([head, bytes]));
          assert.ok(ports.from <= 0xffff && ports.to <= 0xffff);
        } catch (error) {
          assert.ok(error instanceof GateError && error.kind === 'router-protocol');
        }
      }),
    );
  });
});

describe('on the control connection', () => {
  const said = (text: string, payload: Buffer) => Buffer.concat([Buffer.from(text), payload]);
  const head = `DATAGRAM RECEIVED DESTINATION=${OTHER.base64} SIZE=${PAYLOAD.length}`;
  const stream = Buffer.concat([
    said('PING one\n', Buffer.alloc(0)),
    said(`${head}\n`, PAYLOAD),
    said(`${head} FROM_PORT=7 TO_PORT=9\n`, PAYLOAD),
    said(`DATAGRAM RECEIVED DESTINATION=${OTHER.base64} SIZE=0\n`, Buffer.alloc(0)),
    said('PONG two\n', Buffer.alloc(0)),
  ]);
  const datagram = (from: number, to: number, payload: Buffer): ControlMessage => ({
    kind: 'datagram',
    datagram: { sender: other, ports: { from, to }, payload },
  });
  const wanted: readonly ControlMessage[] = [
    { kind: 'line', line: 'PING one' },
    datagram(0, 0, PAYLOAD),
    datagram(7, 9, PAYLOAD),
    datagram(0, 0, Buffer.alloc(0)),
    { kind: 'line', line: 'PONG two' },
  ];

  /** As the driver does it: each conversation begins with what was left over by the one before. */
  const listened = (pieces: readonly Buffer[]): ControlMessage[] => {
    const messages: ControlMessage[] = [];
    let machine = conversationMachine(receiveControl());
    machine.step(Buffer.alloc(0));
    for (const piece of pieces) {
      let step = machine.step(piece);
      while (step.kind === 'done') {
        messages.push(step.out);
        machine = conversationMachine(receiveControl());
        step = machine.step(step.rest);
      }
    }
    return messages;
  };

  test('lines and datagrams come one after another, cut anywhere', () => {
    assert.deepEqual(listened([stream]), wanted);
    for (const size of [1, 2, 100, 700]) assert.deepEqual(listened(inPieces(stream, [size])), wanted);
    for (let at = 1; at < stream.length; at += 1) {
      assert.deepEqual(listened([stream.subarray(0, at), stream.subarray(at)]), wanted, `cut at ${at}`);
    }
  });

  for (const bad of ['SIZE=x', 'SIZE=', 'SIZE=-1', 'SIZE=65536', 'SIZE=999999999', '', 'SIZE=1 FROM_PORT=70000']) {
    test(`a datagram with "${bad}" is refused before anything is held for it`, () => {
      const line = `DATAGRAM RECEIVED DESTINATION=${OTHER.base64} ${bad}`;
      gateError('router-protocol', () => parseReceived(line));
      gateError('router-protocol', () => feed(conversationMachine(receiveControl()), [Buffer.from(`${line}\n`)]));
    });
  }

  test('a sender that cannot be read is refused, and not shown', () => {
    const line = `DATAGRAM RECEIVED DESTINATION=${NODE.keys} SIZE=1`;
    const error = gateError('router-protocol', () => parseReceived(line));
    assert.ok(!error.message.includes(NODE.keys.slice(0, 12)));
  });
});
