/** The preface of a flow, byte for byte as docs/protocol.md has it, in any split, with what a later version may send. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  FLOW_MARK,
  type FlowStatus,
  flowAcceptMachine,
  flowAnswer,
  flowRequestMachine,
} from '../../../../src/wire/flow/preface.ts';
import { isIpv6 } from '../../../../src/wire/packet/ipv6.ts';
import { cuts, feed, gateError, hex, noise } from '../../kit/support.ts';

const STATUSES: readonly FlowStatus[] = ['joined', 'refused', 'unreachable', 'timeout', 'forbidden', 'busy', 'version'];
/** All 20 bits count, and the fourth byte from the end is not one of them. */
const LABEL = 0xf2345;
const EXTENSION = hex('05 01 03 0f 23 45');
const BEHIND = Buffer.from('\0\x05first\xf6\x01');

test('the mark is f6, which no packet begins with', () => {
  assert.equal(FLOW_MARK, 0xf6);
  assert.equal(isIpv6(FLOW_MARK), false);
  assert.notEqual(FLOW_MARK >> 4, 4);
});

for (const port of [0, 1, 80, 255, 256, 8061, 65_535]) {
  test(`port ${port} is asked for and understood`, () => {
    const asked = feed(flowRequestMachine(port, LABEL), []).sent;
    const request = Buffer.concat([hex('f6 01'), Buffer.from([port >> 8, port & 0xff]), EXTENSION]);
    assert.deepEqual(asked, [request]);
    for (const pieces of cuts(Buffer.concat([request, BEHIND]))) {
      const taken = feed(flowAcceptMachine(), pieces);
      assert.deepEqual(taken.done, { out: { port, understood: true, label: LABEL } });
      assert.deepEqual(taken.rest, BEHIND);
      assert.deepEqual(taken.sent, [], 'the answer waits for the service');
    }
  });
}

for (const [index, status] of STATUSES.entries()) {
  test(`the answer ${status} is ${index}, and understood`, () => {
    assert.deepEqual(
      Buffer.from(flowAnswer(status, LABEL)),
      Buffer.concat([Buffer.from([0xf6, 0x01, index]), EXTENSION]),
    );
    for (const extensions of [Buffer.alloc(0), noise(1, 1), noise(255, 2)]) {
      const answer = Buffer.concat([Buffer.from([0xf6, 0x01, index, extensions.length]), extensions]);
      for (const pieces of cuts(Buffer.concat([answer, BEHIND]))) {
        const answered = feed(flowRequestMachine(80, LABEL), pieces);
        assert.deepEqual(answered.done, { out: { status, label: undefined } });
        assert.deepEqual(answered.rest, BEHIND);
        assert.equal(answered.sent.length, 1);
      }
    }
  });
}

test('the label is found among extensions that nobody knows, and one that is cut or too long is none', () => {
  for (const [extensions, label] of [
    ['01 03 0f 23 45', LABEL],
    ['63 02 01 03 01 03 0f 23 45', LABEL],
    ['01 03 0f 23 45 63 00', LABEL],
    ['01 03 0f 23', undefined],
    ['01 04 0f 23 45 00', undefined],
    ['63 ff 01 03 0f 23 45', undefined],
    ['01', undefined],
  ] as const) {
    const bytes = hex(extensions);
    const all = Buffer.concat([Buffer.from([bytes.length]), bytes]);
    for (const pieces of cuts(Buffer.concat([hex('f6 01 00 50'), all])))
      assert.deepEqual(feed(flowAcceptMachine(), pieces).done, { out: { port: 80, understood: true, label } });
    for (const pieces of cuts(Buffer.concat([hex('f6 01 00'), all])))
      assert.deepEqual(feed(flowRequestMachine(80, 1), pieces).done, { out: { status: 'joined', label } });
  }
});

test('the request is sent before any byte is wanted', () => {
  const machine = flowRequestMachine(80, LABEL);
  assert.equal(machine.step(Buffer.alloc(0)).kind, 'send');
  assert.equal(machine.step(Buffer.alloc(0)).kind, 'receive');
});

test('extensions of a request are skipped, whatever is in them', () => {
  for (const extensions of [noise(1, 3), Buffer.alloc(255, 0xf6), noise(255, 4)]) {
    const request = Buffer.concat([hex('f6 01 1f 7d'), Buffer.from([extensions.length]), extensions]);
    for (const pieces of cuts(Buffer.concat([request, BEHIND]))) {
      const taken = feed(flowAcceptMachine(), pieces);
      assert.deepEqual(taken.done, { out: { port: 8061, understood: true, label: undefined } });
      assert.deepEqual(taken.rest, BEHIND);
    }
  }
});

test('a request of another version is told apart, so that it can be answered', () => {
  for (const version of ['00', '02', 'ff']) {
    for (const pieces of cuts(hex(`f6 ${version} 00 50 02 aa bb`))) {
      assert.deepEqual(feed(flowAcceptMachine(), pieces).done, {
        out: { port: 80, understood: false, label: undefined },
      });
    }
  }
});

test('an answer of another version is the status version, whatever it says otherwise', () => {
  for (const answer of ['f6 02 00 00', 'f6 00 00 00', 'f6 ff 63 02 aa bb']) {
    for (const pieces of cuts(hex(answer)))
      assert.deepEqual(feed(flowRequestMachine(80, LABEL), pieces).done, {
        out: { status: 'version', label: undefined },
      });
  }
});

test('a status that nobody knows is not taken for a good one', () => {
  for (const status of [7, 8, 127, 255]) {
    gateError('peer-protocol', () => feed(flowRequestMachine(80, LABEL), [Buffer.from([0xf6, 0x01, status, 0x00])]));
  }
});

test('another first byte is refused at once, by both sides', () => {
  for (let first = 0; first < 256; first += 1) {
    if (first === FLOW_MARK) continue;
    for (const bytes of [Buffer.from([first]), Buffer.from([first, 1, 0, 80, 0])]) {
      gateError('peer-protocol', () => feed(flowAcceptMachine(), [bytes]));
      gateError('peer-protocol', () => feed(flowRequestMachine(80, LABEL), [bytes]));
    }
  }
});

test('no prefix of a preface is enough', () => {
  const request = hex('f6 01 00 50 03 aa bb cc');
  const answer = hex('f6 01 00 02 aa bb');
  for (let at = 0; at < request.length; at += 1)
    assert.equal(feed(flowAcceptMachine(), [request.subarray(0, at)]).done, undefined);
  for (let at = 0; at < answer.length; at += 1)
    assert.equal(feed(flowRequestMachine(80, LABEL), [answer.subarray(0, at)]).done, undefined);
});
