import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { isNativeError, loadNative } from '../../../src/io/native.ts';

const directory = mkdtempSync(join(tmpdir(), 'garligate-native-'));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

test('an addon that is not built says how to build it', () => {
  assert.throws(() => loadNative(join(directory, 'missing.node')), {
    kind: 'local-io',
    code: 'native.not-built',
    message: /not built: .*missing\.node.* npm run build/,
  });
});

test('an addon that does not load here says how to build it', () => {
  assert.throws(() => loadNative(file('broken.node', 'no ELF')), {
    kind: 'local-io',
    code: 'native.unloadable',
    message: /does not load here .*npm run build/,
  });
});

test('an addon with another version, or without one of its functions, is outdated', () => {
  const modules = [
    'module.exports = { version: 0 }',
    'module.exports = { version: 3, open() {} }',
    'module.exports = null',
    'module.exports = "addon"',
  ];
  for (const [index, source] of modules.entries()) {
    assert.throws(() => loadNative(file(`outdated-${index}.cjs`, source)), {
      kind: 'local-io',
      code: 'native.outdated',
      message: /other sources.*npm run build/,
    });
  }
});

test('only errors with code, stage and detail are from the addon', () => {
  const whole = { code: 'EPERM', stage: 'attach', detail: '' };
  assert.equal(isNativeError(Object.assign(new Error('x'), whole)), true);
  assert.equal(isNativeError(whole), false);
  assert.equal(isNativeError(Object.assign(new Error('x'), { code: 'EPERM' })), false);
  assert.equal(isNativeError(Object.assign(new Error('x'), { ...whole, code: 1 })), false);
  assert.equal(isNativeError(undefined), false);
});
