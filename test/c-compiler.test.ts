/** What a person is told when the C compiler cannot do what is asked of it. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CompilerError, compileInto } from '../scripts/lib/c-compiler.mjs';

let folder = '';
const compiler = process.env['CC'];

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'garligate-compiler-'));
});

after(() => {
  rmSync(folder, { recursive: true });
  if (compiler === undefined) delete process.env['CC'];
  else process.env['CC'] = compiler;
});

/** Writes half of what it was asked for, says this, and fails. */
function compilerThatSays(words: string): string {
  const script = join(folder, 'cc');
  writeFileSync(script, `#!/bin/sh\necho half > "$2"\ncat >&2 <<'END'\n${words}\nEND\nexit 1\n`);
  chmodSync(script, 0o755);
  return script;
}

function complaintOf(program: string): string {
  process.env['CC'] = program;
  try {
    compileInto('the program', join(folder, 'out'), ['x.c']);
  } catch (error) {
    assert.ok(error instanceof CompilerError);
    return error.message;
  }
  return '';
}

test('without a compiler it says what to install', () => {
  assert.match(
    complaintOf(join(folder, 'none')),
    /^There is no C compiler .* to build the program with: .*gcc libc6-dev$/,
  );
});

const REFUSALS = [
  [
    'gcc without its sanitizers',
    '/usr/bin/ld: cannot find libasan_preinit.o: No such file or directory\n/usr/bin/ld: cannot find -lasan: No such file or directory',
    /It has no sanitizers: .*apt-get install gcc$/,
  ],
  [
    'clang without its sanitizers',
    '/usr/bin/ld: cannot find /usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.asan-x86_64.a: No such file or directory',
    /It has no sanitizers/,
  ],
  ['a compiler that knows no sanitizers', "tcc: error: invalid option -- '-fsanitize=address'", /It has no sanitizers/],
  [
    'sanitizers without their headers',
    'main.c:9:10: fatal error: sanitizer/asan_interface.h: No such file or directory',
    /It has no sanitizers/,
  ],
  [
    'no headers of the C library',
    'main.c:9:10: fatal error: stdio.h: No such file or directory',
    /headers are missing: .*libc6-dev$/,
  ],
  [
    'a mistake of ours',
    'x.c:1:1: error: expected identifier',
    /^Building the program failed:\nx\.c:1:1: error: expected identifier$/,
  ],
] as const;

for (const [what, words, told] of REFUSALS) {
  test(`${what}: it says so, and leaves nothing half built`, () => {
    const complaint = complaintOf(compilerThatSays(words));
    assert.ok(complaint.includes(words));
    assert.match(complaint, told);
    assert.deepEqual(readdirSync(folder), ['cc']);
    assert.ok(!existsSync(join(folder, 'out')));
  });
}
