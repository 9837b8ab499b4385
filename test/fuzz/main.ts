/** `npm run fuzz -- --minutes N [--seed N] [target ...]`: the kept inputs first, then new ones until the time is over. */
import { parseArgs } from 'node:util';
import { fuzz, thrownBy } from './engine.ts';
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
let failed = 0;
for (const target of chosen) {
  const kept = [...corpusOf(target)].filter(([, input]) => thrownBy(target, input) !== undefined).map(([file]) => file);
  for (const file of kept) say(`✗ ${target.name}: fails again at ${file}`);
  const startedAt = performance.now();
  const { inputs, failure } = fuzz(target, { seed, ms: (minutes * 60_000) / chosen.length });
  const seconds = (performance.now() - startedAt) / 1000;
  const outcome = failure === undefined ? 'nothing found' : `failed: ${String(failure.error)}`;
  say(
    `${failure === undefined ? '✓' : '✗'} ${target.name}: ${inputs} inputs in ${seconds.toFixed(1)} s, seed ${seed}, ${outcome}`,
  );
  if (failure !== undefined) say(`  kept as ${keep(target, seed, failure.input)}`);
  if (failure !== undefined || kept.length > 0) failed += 1;
}
process.exitCode = failed === 0 ? 0 : 1;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
