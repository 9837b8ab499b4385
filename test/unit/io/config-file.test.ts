import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { defaultConfig } from '../../../src/config/decode.ts';
import { createConfigReader, loadConfig, loadCredentials } from '../../../src/io/config-file.ts';
import { SYSTEM_PATHS } from '../../../src/io/paths.ts';
import { type ErrorKind, GateError } from '../../../src/kit/errors.ts';

let root = '';
before(() => {
  root = mkdtempSync(join(tmpdir(), 'garligate-config-'));
});
after(() => rmSync(root, { recursive: true }));

function file(name: string, text: string, mode = 0o600): string {
  const path = join(root, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function failsWith(kind: ErrorKind, pattern: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof GateError && error.kind === kind && pattern.test(error.message);
}

test('without a file at the usual place the defaults hold', async () => {
  const places = { ...SYSTEM_PATHS, configFile: join(root, 'absent.toml') };
  assert.deepEqual(await loadConfig(undefined, places), { config: defaultConfig(places), file: undefined });
});

test('a file that was asked for must be there', async () => {
  await assert.rejects(loadConfig(join(root, 'absent.toml'), SYSTEM_PATHS), failsWith('config', /no such file.*init/));
});

test('reads the file that is asked for before the usual one', async () => {
  const path = file('good.toml', '[vpn]\nmtu = 1400\n', 0o644);
  const usual = file('usual.toml', '[vpn]\nmtu = 1300\n');
  const places = { ...SYSTEM_PATHS, configFile: usual };
  assert.equal((await loadConfig(path, places)).config.vpn.mtu, 1400);
  assert.equal((await loadConfig(undefined, places)).config.vpn.mtu, 1300);
});

test('read again, a file that is gone is missed, and one that has come is read', async () => {
  const usual = join(root, 'comes.toml');
  const read = createConfigReader(undefined, { ...SYSTEM_PATHS, configFile: usual }, process.geteuid?.() ?? 0);
  assert.equal((await read()).vpn.mtu, 1500);
  file('comes.toml', '[vpn]\nmtu = 1300\n');
  assert.equal((await read()).vpn.mtu, 1300);
  rmSync(usual);
  await assert.rejects(read(), failsWith('config', /no such file/));
  await assert.rejects(read(), failsWith('config', /no such file/));
  file('comes.toml', '[vpn]\nmtu = 1400\n');
  assert.equal((await read()).vpn.mtu, 1400);
});

test('tells all mistakes with file and line', async () => {
  const path = file('bad.toml', '[vpn]\nmtu = 1\nmtv = 1\n');
  await assert.rejects(
    loadConfig(path, SYSTEM_PATHS),
    failsWith('config', /bad\.toml:2: vpn\.mtu: .*\n.*bad\.toml:3: vpn\.mtv/),
  );
});

test('refuses what everybody can write to, and what is no file', async () => {
  await assert.rejects(loadConfig(file('open.toml', '', 0o666), SYSTEM_PATHS), failsWith('config', /chmod o-w/));
  await assert.rejects(loadConfig(root, SYSTEM_PATHS), failsWith('config', /not a regular file/));
  await assert.rejects(
    loadConfig(file('huge.toml', '#'.repeat(2 ** 20 + 1)), SYSTEM_PATHS),
    failsWith('config', /1 MiB/),
  );
});

test('root refuses the file of somebody else, who then could do anything', async () => {
  const path = file('foreign.toml', '[vpn]\nmtu = 1400\n');
  const me = process.geteuid?.() ?? 0;
  if (me === 0) chownSync(path, 65_534, 65_534);
  const refusal = /foreign\.toml: belongs to user \d+, .*; chown root .*foreign\.toml$/;
  await assert.rejects(loadConfig(path, SYSTEM_PATHS, 0), failsWith('config', refusal));
  assert.equal((await loadConfig(path, SYSTEM_PATHS, 1000)).config.vpn.mtu, 1400);
});

test('refuses a password that everybody can read', async () => {
  const { router } = defaultConfig(SYSTEM_PATHS);
  const named = (mode: number) => ({ ...router, user: 'u', password_file: file(`pw-${mode}`, 'geheim', mode) });
  for (const mode of [0o644, 0o602]) {
    await assert.rejects(loadCredentials(named(mode)), failsWith('config', /pw-\d+: .*chmod o-rwx .*pw-/));
  }
  assert.equal((await loadCredentials(named(0o640)))?.password.reveal(), 'geheim');
});

test('reads the password from the first line, and cannot print it', async () => {
  const { router } = defaultConfig(SYSTEM_PATHS);
  assert.equal(await loadCredentials(router), undefined);
  const credentials = await loadCredentials({ ...router, user: 'u', password_file: file('pw', 'geheim\nmore\n') });
  assert.equal(credentials?.password.reveal(), 'geheim');
  assert.doesNotMatch(JSON.stringify(credentials), /geheim/);
  for (const password_file of [file('empty', '\n'), join(root, 'absent')]) {
    await assert.rejects(loadCredentials({ ...router, user: 'u', password_file }), failsWith('config', /no password/));
  }
});
