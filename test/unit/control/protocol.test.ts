import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  encodeFailure,
  encodeRequest,
  encodeResult,
  parseAnswer,
  parseRequest,
} from '../../../src/control/protocol.ts';
import { GateError } from '../../../src/kit/errors.ts';

test('a request is read as it was written', () => {
  const line = encodeRequest(7, 'status', { reveal: true });
  assert.ok(line.endsWith('\n') && line.indexOf('\n') === line.length - 1);
  assert.deepEqual(parseRequest(line), { v: 1, id: 7, method: 'status', params: { reveal: true } });
});

test('answers are read as they were written', () => {
  assert.deepEqual(parseAnswer(encodeResult(7, { a: [1] })), { id: 7, ok: { a: [1] } });
  assert.deepEqual(parseAnswer(encodeResult(7, undefined)), { id: 7, ok: null });
  const failure = parseAnswer(encodeFailure(null, new GateError('limit', 'a.b', 'too many'), 'testing'));
  assert.deepEqual(failure, { id: null, error: { kind: 'limit', code: 'a.b', message: 'too many' } });
});

test('an error of a gateway that names no kind, or one that is not known here, is read all the same', () => {
  for (const kind of ['', '"kind":"of-tomorrow","advice":"x",']) {
    assert.deepEqual(parseAnswer(`{"id":7,"error":{${kind}"code":"a.b","message":"no"}}`), {
      id: 7,
      error: { kind: 'local-io', code: 'a.b', message: 'no' },
    });
  }
});

test('the text of a bug stays inside', () => {
  const line = encodeFailure(1, new TypeError('cannot read the secret'), 'testing');
  assert.doesNotMatch(line, /secret/);
});

for (const line of [
  '',
  'GET / HTTP/1.1',
  '[]',
  'null',
  '{}',
  '{"v":2,"id":1,"method":"status"}',
  '{"v":1,"id":-1,"method":"status"}',
  '{"v":1,"id":1.5,"method":"status"}',
  '{"v":1,"id":1,"method":5}',
  '{"v":1,"id":1,"method":"status","params":[]}',
  '{"v":1,"id":1,"method":"status","extra":1}',
  `{"v":1,"id":1,"method":"${'x'.repeat(65)}"}`,
]) {
  test(`refuses ${JSON.stringify(line.slice(0, 50))}`, () => {
    assert.throws(
      () => parseRequest(line),
      (error) => error instanceof GateError && error.kind === 'client-protocol',
    );
  });
}

test('any text is a request or an error of ours', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      for (const parse of [parseRequest, parseAnswer]) {
        try {
          parse(text);
        } catch (error) {
          assert.ok(error instanceof GateError);
        }
      }
    }),
  );
});
