import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { EXIT, exitCodeOf } from '../../../src/cli/exit-codes.ts';
import { ERROR_KINDS, type ErrorKind, GateError } from '../../../src/kit/errors.ts';

for (const [kind, code, expected] of [
  ['config', 'config.invalid', 3],
  ['config', 'identity.mode', 8],
  ['config', 'identity.in-use', 1],
  ['config', 'sam.key-invalid', 8],
  ['config', 'identityless', 3],
  ['permission', 'system.permission', 5],
  ['permission', 'tun.permission', 5],
  ['unsupported', 'tun.no-device', 5],
  ['local-io', 'control.not-running', 1],
  ['local-io', 'control.timeout', 124],
  ['router-down', 'router.unreachable', 4],
  ['peer-timeout', 'sam.peer-timeout', 7],
  ['name-invalid', 'i2p.b32', 2],
] as ReadonlyArray<readonly [ErrorKind, string, number]>) {
  test(`${kind} ${code} ends with ${expected}`, () => {
    assert.equal(exitCodeOf(new GateError(kind, code, 'text')), expected);
  });
}

test('no error ends with success', () => {
  for (const kind of ERROR_KINDS) assert.notEqual(exitCodeOf(new GateError(kind, kind, 'text')), EXIT.ok);
});

test('every code is documented', () => {
  const operations = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
  for (const code of Object.values(EXIT)) assert.match(operations, new RegExp(`^\\| ${code} \\|`, 'm'));
});

test('the systemd unit does not restart for what does not mend itself', () => {
  const unit = readFileSync(new URL('../../../docs/examples/garligate.service', import.meta.url), 'utf8');
  const { usage, config, identity } = EXIT;
  assert.match(unit, new RegExp(`^RestartPreventExitStatus=${usage} ${config} ${identity}$`, 'm'));
});
