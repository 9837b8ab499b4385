/** `npm run fuzz -- --minutes N [--seed N] [target ...]`: the kept inputs first, then new ones until the time is over. */
import { parseArgs } from 'node:util';
import { CompilerError } from '../../scripts/lib/c-compiler.mjs';
import { type FuzzTarget, failureAt, fuzz } from './engine.ts';
import { corpusOf, keep, TARGETS } from './targets.ts';

const { values, positionals } = parseArgs({
  options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string' } },
  allowPositionals: true,
});
const minutes = Number(values.minutes);
const seed = values.seed === undefined ? Math.floor(Math.random() * 0x7fff_ffff) : Number(values.seed);
const unknown = positionals.filter((name) => !TARGETS.some((target) => target.name === name));
if (!(minutes > 0) || !Number.isInteger(seed) || unknown.length > 0) {
  const names = TARGETS.map(({ name }) => name).join(', ');
  say(
    `wanted: --minutes N, --seed N, and targets of ${names}; found ${unknown.join(', ') || process.argv.slice(2).join(' ')}`,
  );
  process.exit(64);
}

const chosen = TARGETS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
try {
  // All of them, also after one that has failed.
  const failed = chosen.filter((target) => !isBorneBy(target));
  process.exitCode = failed.length === 0 ? 0 : 1;
} catch (error) {
  if (!(error instanceof CompilerError)) throw error;
  say(error.message);
  process.exitCode = 1;
}

function isBorneBy(target: FuzzTarget): boolean {
  const corpus = corpusOf(target);
  const again = [...corpus].filter(([, input]) => failureAt(target, input) !== undefined);
  for (const [file] of again) say(`✗ ${target.name}: fails again at ${file}`);
  const startedAt = performance.now();
  const { inputs, failure } = fuzz(target, {
    seed,
    ms: (minutes * 60_000) / chosen.length,
    corpus: [...corpus.values()],
  });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const course = `${target.name}: ${inputs} inputs in ${seconds} s, seed ${seed}`;
  say(failure === undefined ? `✓ ${course}, nothing found` : `✗ ${course}, failed: ${String(failure.error)}`);
  if (failure !== undefined) say(`  kept as ${keep(target, failure.error, failure.input)}`);
  return failure === undefined && again.length === 0;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
