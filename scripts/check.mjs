/**
 * `npm run check`: everything that can be said about the code without running it (types, lint and format, layers, unused
 * code), all at once. Prints what is wrong, and otherwise one line.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkLayers, describeProblem } from './check-layers.mjs';
import { collect, isCommand, main, ROOT } from './lib/command.mjs';
import { setUp } from './setup.mjs';

/**
 * @typedef {object} Verdict
 * @property {boolean} ok
 * @property {string} output
 */

/** What earlier runs found out, for tools that can go on from there. */
const CACHE = join(ROOT, 'build/check');

/** @type {Readonly<Record<string, () => Promise<Verdict> | Verdict>>} */
const CHECKS = {
  types: () => nodeTool('typescript/bin/tsc', ['-p', '.', '--incremental', '--tsBuildInfoFile', join(CACHE, 'types')]),
  lint: () => nodeTool('@biomejs/biome/bin/biome', ['check', '--error-on-warnings', '--colors=off']),
  layers,
  unused: () =>
    nodeTool('knip/bin/knip.js', [
      '--no-progress',
      '--no-config-hints',
      '--cache',
      '--cache-location',
      join(CACHE, 'knip'),
    ]),
};

/**
 * @param {string} script in node_modules
 * @param {readonly string[]} args
 */
function nodeTool(script, args) {
  return collect(process.execPath, [join(ROOT, 'node_modules', script), ...args]);
}

/** @returns {Verdict} */
function layers() {
  const { problems } = checkLayers(join(ROOT, 'src'));
  return { ok: problems.length === 0, output: problems.map((problem) => describeProblem(problem, 'src')).join('\n') };
}

/** @returns {Promise<boolean>} whether everything is well */
export async function check() {
  mkdirSync(CACHE, { recursive: true });
  const results = await Promise.all(
    Object.entries(CHECKS).map(async ([name, run]) => {
      const startedAt = performance.now();
      const { ok, output } = await run();
      return { name, ok, output, seconds: (performance.now() - startedAt) / 1000 };
    }),
  );
  const failed = results.filter(({ ok }) => !ok);
  for (const { name, output } of failed) console.error(`--- ${name} ---\n${output.trimEnd()}\n`);
  const times = results.map(({ name, ok, seconds }) => `${ok ? '✓' : '✗'} ${name} ${seconds.toFixed(1)} s`);
  console.log(`check: ${times.join('   ')}`);
  return failed.length === 0;
}

if (isCommand(import.meta.url)) {
  await main(async () => {
    await setUp({ native: false, dist: false });
    return (await check()) ? 0 : 1;
  });
}
