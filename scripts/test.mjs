/**
 * `npm test`: sets up what the tests need, checks the code, and runs all groups of tests. With arguments it runs only the
 * groups or files named (`npm test unit`, `npm test -- net relay`). The last line is `N passed, N failed` over all of it.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { check } from './check.mjs';
import { isRoot, main, SetUpError } from './lib/command.mjs';
import { CLIENT_PACKAGES, COMPILER_PACKAGES, TEST_PACKAGES } from './lib/debian.mjs';
import { endAll, runFiles } from './lib/run-tests.mjs';
import { GROUPS, select } from './lib/test-groups.mjs';
import { setUp } from './setup.mjs';

/** Names a file that keeps the sums from one run to the next, for commands that run the tests more than once. */
const SUM_FILE = process.env['GARLIGATE_TEST_SUM'];

/** @param {readonly string[]} wanted */
async function test(wanted) {
  const everything = wanted.length === 0;
  const { selections, unknown } = select(wanted);
  if (unknown.length > 0) {
    const groups = GROUPS.map(({ name, what }) => `  ${name.padEnd(5)} ${what}`).join('\n');
    throw new SetUpError(
      `No test file has ${unknown.join(' or ')} in its name, and no group is called so. Groups:\n${groups}`,
    );
  }
  const needRoot = selections.filter(({ group }) => group.root).map(({ group }) => group.name);
  if (needRoot.length > 0 && !isRoot()) {
    const others = GROUPS.filter(({ root }) => !root).map(({ name }) => name);
    throw new SetUpError(
      `The tests in ${needRoot.join(' and ')} make network interfaces and namespaces, for which they need root: run ` +
        `sudo npm test. Without root, these can be run: npm test ${others.join(' ')}`,
    );
  }
  const whole = needRoot.length > 0;
  /** @param {string} name */
  const runs = (name) => selections.some(({ group }) => group.name === name);
  const packages = [
    ...(whole ? TEST_PACKAGES : []),
    ...(runs('live') ? CLIENT_PACKAGES : []),
    ...(runs('fuzz') ? COMPILER_PACKAGES : []),
  ];
  await setUp({ packages, native: whole, dist: whole });

  let sum = { passed: 0, failed: 0 };
  if (everything) sum = add(sum, (await check()) ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 });
  const lines = [];
  for (const { group, files } of selections) {
    const result = await runGroup(group, files);
    lines.push(result.line);
    sum = add(sum, result);
  }
  console.log(`\n${lines.join('\n')}`);
  const overall = addToEarlierRuns(sum);
  console.log(`${overall.passed} passed, ${overall.failed} failed`);
  return sum.failed === 0 ? 0 : 1;
}

/**
 * @param {import('./lib/test-groups.mjs').TestGroup} group
 * @param {readonly string[]} files
 */
async function runGroup(group, files) {
  console.log(`\n${group.name}: ${group.what}`);
  const startedAt = performance.now();
  const results = await runFiles(files, {
    // They wait more than they work: one more than there are processors keeps those busy.
    atOnce: Math.max(2, availableParallelism()) + 1,
    fileSeconds: group.fileSeconds,
    onFile: printFile,
  });
  const sum = results.reduce(add, { passed: 0, failed: 0 });
  if (sum.passed + sum.failed === 0) {
    console.log('✗ no test ran in this group');
    sum.failed = 1;
  }
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const counts = `${String(sum.passed).padStart(5)} passed ${String(sum.failed).padStart(3)} failed`;
  const line = `${sum.failed === 0 ? '✓' : '✗'} ${group.name.padEnd(5)} ${counts} ${seconds.padStart(7)} s`;
  return { ...sum, line };
}

/** @param {import('./lib/run-tests.mjs').FileResult} result */
function printFile({ file, passed, failed, seconds, complaints, output }) {
  const count = failed === 0 ? `${passed} passed` : `${passed} passed, ${failed} failed`;
  console.log(`${failed === 0 ? '✓' : '✗'} ${file}  ${count}  ${seconds.toFixed(1)} s`);
  if (failed === 0) return;
  for (const complaint of complaints) console.log(`  ✗ ${complaint}`);
  console.log(output.trimEnd().replaceAll(/^/gm, '  '));
}

/**
 * @param {{ passed: number, failed: number }} a
 * @param {{ passed: number, failed: number }} b
 */
function add(a, b) {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed };
}

/** @param {{ passed: number, failed: number }} sum */
function addToEarlierRuns(sum) {
  if (SUM_FILE === undefined) return sum;
  const earlier = existsSync(SUM_FILE) ? readFileSync(SUM_FILE, 'utf8').trim() : '';
  const overall = earlier === '' ? sum : add(JSON.parse(earlier), sum);
  writeFileSync(SUM_FILE, JSON.stringify(overall));
  return overall;
}

for (const [signal, code] of /** @type {const} */ ([
  ['SIGINT', 130],
  ['SIGTERM', 143],
])) {
  process.on(signal, () => {
    endAll();
    process.exit(code);
  });
}
await main(() => test(process.argv.slice(2)));
