/** `garligate check`, held against `garligate run`: what the one refuses, the other refuses in the same words. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { check } from '../../../src/cli/check.ts';
import { run } from '../../../src/cli/run.ts';
import { createTerminal } from '../../../src/cli/terminal.ts';
import { generateKeys } from '../../../src/io/key-generate.ts';
import { currentEnvironment, pathsFor } from '../../../src/io/paths.ts';
import { GateError } from '../../../src/kit/errors.ts';
import { ALICE, garligate, place, start } from './command-kit.ts';

const PLACES = pathsFor(currentEnvironment());
const isRoot = process.geteuid?.() === 0;
const NO_PASSWORD = '[router]\nuser = "me"\npassword_file = "/no/such/file"';
/** A gateway that came up all the same would end then. */
const ENOUGH_MS = 20_000;

/** A good config with a key, before something is made wrong with it. */
interface Good {
  readonly config: string;
  readonly key: string;
  readonly socket: string;
  /** Its own name, 52 characters. */
  readonly b32: string;
}

function goodPlace(name: string): Good {
  const { config, key, socket } = place(name);
  const { blob, destination } = generateKeys();
  mkdirSync(dirname(key), { mode: 0o700 });
  writeFileSync(key, `${blob.reveal()}\n`, { mode: 0o600 });
  return { config, key, socket, b32: destination.b32 };
}

/** Runs both. @returns what each refused it with */
async function refusals(config: string): Promise<{ readonly byRun: GateError; readonly byCheck: GateError }> {
  const said: string[] = [];
  const terminal = createTerminal({ write: (text) => said.push(text) }, { write: (text) => said.push(text) });
  const refusal = (work: Promise<void>) =>
    work.then(
      () => assert.fail(`not refused: ${said.join('')}`),
      (error: unknown) => (error instanceof GateError ? error : assert.fail(String(error))),
    );
  const byRun = await refusal(run({ config, socksOnly: true }, PLACES, terminal, AbortSignal.timeout(ENOUGH_MS)));
  const byCheck = await refusal(check(config, PLACES, terminal));
  assert.deepEqual(said, []);
  return { byRun, byCheck };
}

const append = ({ config }: Good, toml: string) => appendFileSync(config, toml);
const addPeer = (good: Good, b32: string) => append(good, `[[peer]]\nname = "other"\ndestination = "${b32}.b32.i2p"\n`);
const listener = (path: string) => `[[socks]]\nlisten = "unix:${path}"\n`;
const change = ({ config }: Good, from: string, to: string) =>
  writeFileSync(config, readFileSync(config, 'utf8').replace(from, to));

function openPassword(good: Good): void {
  const path = `${good.key}-password`;
  writeFileSync(path, 'secret\n');
  chmodSync(path, 0o644);
  change(good, '[router]', `[router]\nuser = "me"\npassword_file = "${path}"`);
}

/** Further identities, all with one key. */
function identities(good: Good, from: string, ...names: readonly string[]): void {
  for (const name of names) {
    copyFileSync(from, `${good.key}-${name}`);
    append(good, `[identities.${name}]\nkey_file = "${good.key}-${name}"\n`);
  }
}

/** What is wrong, how it comes about, and the code of the refusal. */
type Refused = readonly [what: string, spoil: (good: Good) => void, code: string];
const REFUSED: readonly Refused[] = [
  ['a mistake in the file', (good) => append(good, '[vpn]\nmtu = 12\n'), 'config.invalid'],
  ['a file that is not there', ({ config }) => rmSync(config), 'config.missing'],
  ['a file that everybody may write to', ({ config }) => chmodSync(config, 0o666), 'config.world-writable'],
  ['a key that others may read', ({ key }) => chmodSync(key, 0o644), 'identity.mode'],
  ['a named identity that is the own one', (good) => identities(good, good.key, 'mail'), 'identity.same'],
  ['named identities that are one', (good) => identities(good, goodPlace('one').key, 'mail', 'web'), 'identity.same'],
  ['a password that is not there', (good) => change(good, '[router]', NO_PASSWORD), 'config.password'],
  ['a password that everybody may read', openPassword, 'config.password-open'],
  ['a peer that is this gateway', (good) => addPeer(good, good.b32), 'peer.address-taken'],
  ['a peer with the own 80 bits', (good) => addPeer(good, good.b32.slice(0, 16).padEnd(52, 'a')), 'peer.address-taken'],
  ['listeners at one place', (good) => append(good, listener('/s').repeat(2)), 'config.invalid'],
  ['a listener at the control socket', (good) => append(good, listener(good.socket)), 'config.invalid'],
  ['a socket for an unknown user', (good) => append(good, `${listener('/s')}owner = "nosuchuser"\n`), 'config.user'],
];
const REFUSED_TO_ROOT: readonly Refused[] = [
  ['an unknown user to become', (good) => change(good, 'user = "root"', 'user = "nosuchuser"'), 'privileges.no-user'],
];

for (const [number, [what, spoil, code]] of [...REFUSED, ...(isRoot ? REFUSED_TO_ROOT : [])].entries()) {
  test(`check refuses what run refuses: ${what}`, async () => {
    const good = goodPlace(`refused-${number}`);
    await check(good.config, PLACES, createTerminal({ write: () => {} }, { write: () => {} }));
    spoil(good);
    const { byRun, byCheck } = await refusals(good.config);
    assert.deepEqual([byCheck.code, byCheck.kind, byCheck.message], [byRun.code, byRun.kind, byRun.message]);
    assert.equal(byCheck.code, code);
    assert.equal(existsSync(good.socket), false);
  });
}

test('check tells mistakes with file and line and ends with 3', async () => {
  const { config } = place('wrong', '[vpn]\nmtu = 12\nmtv = 1\n');
  const { code, out, err } = await garligate('check', '-c', config);
  assert.deepEqual([code, out], [3, '']);
  const [first = '', second = '', ...rest] = err.trimEnd().split('\n');
  assert.match(first, /^garligate: .*wrong\.toml:12: vpn\.mtu: found 12, wanted a whole number/);
  assert.match(second, /^garligate: .*wrong\.toml:13: vpn\.mtv: found an unknown key, .*did you mean mtu\?/);
  assert.deepEqual(rest, []);
});

test('check says why with the exit code too', async () => {
  const { config, key } = goodPlace('bad-key');
  chmodSync(key, 0o644);
  const { code, out, err } = await garligate('check', '-c', config);
  assert.deepEqual([code, out], [8, '']);
  assert.match(err, /chmod 600/);
});

test('check of a good config changes nothing', async () => {
  const { config, key } = place('good', `[[peer]]\nname = "alice"\ndestination = "${ALICE}"\n`);
  const { code, out } = await garligate('check', '-c', config);
  assert.equal(code, 0);
  assert.match(out, /good\.toml: correct/);
  assert.match(out, /, 1 peer$/m);
  assert.equal(existsSync(key), false);
  // The environment names the file as the option does.
  assert.match((await start(['check'], { GARLIGATE_CONFIG: config }).ended).out, /good\.toml: correct/);
});
