import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAcceptFailureLog } from '../../../src/io/accept-failures.ts';
import { exhaustionError } from '../../../src/io/exhaustion.ts';
import type { Facts } from '../../../src/kit/errors.ts';
import { silentLogger } from '../../../src/kit/log.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';

function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`connect ${code}`), { code });
}

test('a machine that is used up is no fault of the other side', () => {
  for (const code of ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL']) {
    const error = exhaustionError(systemError(code));
    assert.deepEqual([error?.kind, error?.code, error?.facts['errno']], ['limit', 'system.exhausted', code]);
    assert.match(error?.message ?? '', /LimitNOFILE/);
  }
  assert.equal(exhaustionError(systemError('ECONNREFUSED')), undefined);
  assert.equal(exhaustionError(new Error('no code')), undefined);
});

test('clients that could not be accepted are counted, and told once a minute', async () => {
  const clock = new FakeClock();
  const told: Array<Facts | undefined> = [];
  const failed = createAcceptFailureLog(clock, { ...silentLogger, warn: (_, facts) => told.push(facts) });
  for (let count = 0; count < 5; count += 1) failed(systemError('ENFILE'));
  await clock.advance(59_999);
  failed(systemError('ENFILE'));
  assert.deepEqual(told, [{ count: 1, errno: 'ENFILE' }]);
  await clock.advance(1);
  failed(systemError('ENOMEM'));
  assert.deepEqual(told.slice(1), [{ count: 6, errno: 'ENOMEM' }]);
});
