import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pathsFor, SYSTEM_PATHS } from '../../../src/io/paths.ts';

test('root uses the directories of the system', () => {
  const env = { XDG_CONFIG_HOME: '/x', XDG_RUNTIME_DIR: '/y' };
  assert.deepEqual(pathsFor({ uid: 0, home: '/root', env }), SYSTEM_PATHS);
  assert.equal(SYSTEM_PATHS.configFile, '/etc/garligate/garligate.toml');
  assert.equal(SYSTEM_PATHS.keyFile, '/var/lib/garligate/identity.key');
  assert.equal(SYSTEM_PATHS.controlSocket, '/run/garligate/control.sock');
});

test('everybody else uses XDG directories', () => {
  const env = { XDG_CONFIG_HOME: '/c', XDG_STATE_HOME: '/s', XDG_RUNTIME_DIR: '/run/user/7' };
  assert.deepEqual(pathsFor({ uid: 7, home: '/home/u', env }), {
    configFile: '/c/garligate/garligate.toml',
    keyFile: '/s/garligate/identity.key',
    routerDirectory: '/s/garligate/router',
    controlSocket: '/run/user/7/garligate/control.sock',
  });
});

test('missing, empty and relative XDG directories fall back to the home directory', () => {
  for (const env of [{}, { XDG_CONFIG_HOME: '', XDG_STATE_HOME: 'relative', XDG_RUNTIME_DIR: '' }]) {
    const paths = pathsFor({ uid: 7, home: '/home/u', env });
    assert.equal(paths.configFile, '/home/u/.config/garligate/garligate.toml');
    assert.equal(paths.keyFile, '/home/u/.local/state/garligate/identity.key');
    assert.ok(paths.controlSocket.startsWith('/home/u/.local/state/garligate/'));
  }
});
