import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withUndo } from '../../../src/app/undo.ts';
import { GateError } from '../../../src/kit/errors.ts';

for (const [what, workFails, expected] of [
  ['the failure of the work itself comes first', true, 'work'],
  ['a failure while undoing is not lost', false, 'three'],
] as const) {
  test(`every step runs, newest first; ${what}`, async () => {
    const order: string[] = [];
    const reported: string[] = [];
    const run = withUndo(
      ({ message }) => reported.push(message),
      async (undo) => {
        for (const name of ['one', 'two', 'three']) {
          undo(async () => {
            order.push(name);
            if (name !== 'two') throw new GateError('local-io', 'test', name);
          });
        }
        if (workFails) throw new GateError('config', 'test', 'work');
      },
    );
    await assert.rejects(run, (error) => error instanceof GateError && error.message === expected);
    assert.deepEqual(order, ['three', 'two', 'one']);
    assert.deepEqual(reported, ['three', 'one']);
  });
}
