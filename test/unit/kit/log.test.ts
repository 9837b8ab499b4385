import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Facts, GateError } from '../../../src/kit/errors.ts';
import { LOG_LEVELS, type Logger, type LogLevel, logDefect, logFailure } from '../../../src/kit/log.ts';

function recorder() {
  const lines: Array<readonly [level: LogLevel, message: string, facts: Facts | undefined]> = [];
  const at = (level: LogLevel) => (message: string, facts?: Facts) => void lines.push([level, message, facts]);
  const [trace, debug, info, warn, error] = LOG_LEVELS.map(at);
  assert.ok(trace && debug && info && warn && error);
  const log: Logger = { trace, debug, info, warn, error };
  return { lines, log };
}

test('a failure of the world is for whoever looks closely', () => {
  const { lines, log } = recorder();
  const error = logFailure(log, new GateError('peer-closed', 'test.closed', 'the peer closed'), 'serving a flow');
  assert.equal(error.code, 'test.closed');
  assert.deepEqual(lines, [['debug', 'the peer closed', { doing: 'serving a flow', code: 'test.closed' }]]);
});

test('an end that somebody wanted is no news', () => {
  const { lines, log } = recorder();
  for (const kind of ['cancelled', 'shutdown'] as const) logFailure(log, new GateError(kind, kind, 'x'), 'working');
  assert.deepEqual(lines, []);
});

test('a defect of ours is told at every level, with its place and without its words', () => {
  for (const [thrown, name, place] of [
    [new TypeError('secret.i2p is not a function'), 'TypeError', /^at .*log\.test\.ts:\d+:\d+\)?$/],
    ['secret.i2p', 'string', /^undefined$/],
    [undefined, 'undefined', /^undefined$/],
    [
      new GateError('bug', 'bug', 'no identity has this name: secret.i2p'),
      'GateError',
      /^at .*log\.test\.ts:\d+:\d+\)?$/,
    ],
  ] as const) {
    const { lines, log } = recorder();
    assert.equal(logFailure(log, thrown, 'serving a flow').kind, 'bug');
    const [[level, message, facts] = assert.fail('nothing was said')] = lines;
    assert.deepEqual(
      [level, message, facts?.['thrown']],
      ['error', 'a defect: serving a flow failed; please report this', name],
    );
    assert.match(String(facts?.['at']), place);
    assert.doesNotMatch(JSON.stringify(lines), /secret/);
    assert.equal(lines.length, 1);
  }
});

test('where messages may name a host, only defects are told', () => {
  const { lines, log } = recorder();
  logDefect(log, new GateError('name-unknown', 'naming.unknown', 'no secret.i2p'), 'looking a name up');
  assert.deepEqual(lines, []);
  logDefect(log, new RangeError('secret.i2p'), 'looking a name up');
  assert.equal(lines[0]?.[0], 'error');
});
