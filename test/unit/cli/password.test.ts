/** `garligate password`, with its input from a pipe and from a terminal. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { decodeConfig } from '../../../src/config/decode.ts';
import { SYSTEM_PATHS } from '../../../src/io/paths.ts';
import { hashPassword } from '../../../src/wire/socks/password-hash.ts';
import { MAIN, WITH_TYPESCRIPT } from './command-kit.ts';

const COMMAND = [process.execPath, ...WITH_TYPESCRIPT, MAIN, 'password'];

async function run(command: readonly string[], input: string) {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end(input);
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return { out, err, code };
}

/** What a gateway makes of the line that was printed. */
function userOf(line: string) {
  const decoded = decodeConfig(`[[socks]]\nusers = [${line}]`, SYSTEM_PATHS);
  assert.equal(decoded.kind, 'config', JSON.stringify(decoded));
  const user = decoded.kind === 'config' ? decoded.config.socks[0]?.users[0] : undefined;
  assert.ok(user);
  return user;
}

async function isPassword(line: string, password: string): Promise<boolean> {
  const { salt, key } = userOf(line).hash.reveal();
  return (await hashPassword(Buffer.from(password), salt)).key.equals(key);
}

test('the first line of the input becomes a line of the config, which is another one each time', async () => {
  const [one, other] = await Promise.all([
    run([...COMMAND, 'alice'], 'sécret pass\nmore\n'),
    run([...COMMAND, 'alice'], 'sécret pass'),
  ]);
  assert.deepEqual([one.code, one.err], [0, '']);
  assert.equal(userOf(one.out).name, 'alice');
  assert.ok(await isPassword(one.out, 'sécret pass'));
  assert.ok(await isPassword(other.out, 'sécret pass'));
  assert.notEqual(one.out, other.out);
});

/** On a terminal of its own, from util-linux, by somebody who types each answer when it is asked for. */
async function typing(name: string, ...answers: ReadonlyArray<readonly [asked: string, typed: string]>) {
  const child = spawn('script', ['-qec', [...COMMAND, name].join(' '), '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const left = [...answers];
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
    const [next] = left;
    if (next === undefined || !out.includes(next[0])) return;
    left.shift();
    child.stdin.write(next[1]);
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { out, code };
}

test('at a terminal the password is asked for twice and never shown; a key can be taken back', async () => {
  const { out, code } = await typing('bob', ['(not shown):', 'secres\x7ft\r'], ['again:', 'secret\r']);
  assert.equal(code, 0, out);
  const [line = ''] = /"bob:.*"/.exec(out) ?? [];
  assert.ok(await isPassword(line, 'secret'));
  assert.match(out, /password \(not shown\):/);
  assert.doesNotMatch(out, /secre/);
});

for (const [what, name, input, says] of [
  ['an empty password', 'alice', '\n', /1 to 255 bytes/],
  ['no password', 'alice', '', /1 to 255 bytes/],
  ['a password of 256 bytes', 'alice', 'x'.repeat(256), /1 to 255 bytes/],
  ['a name with a colon', 'al:ice', 'secret\n', /cannot be the name of a user/],
  ['an empty name', '', 'secret\n', /cannot be the name of a user/],
] as const) {
  test(`${what} is refused, and not shown`, async () => {
    const { out, err, code } = await run([...COMMAND, name], input);
    assert.equal(code, 3);
    assert.equal(out, '');
    assert.match(err, says);
    assert.doesNotMatch(err, /secret|xxx/);
  });
}

test('two passwords that differ make nothing', async () => {
  const { out, code } = await typing('bob', ['(not shown):', 'one\r'], ['again:', 'two\r']);
  assert.equal(code, 3);
  assert.match(out, /differ; nothing was made/);
});
