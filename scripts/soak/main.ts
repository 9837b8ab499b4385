/**
 * A program: `npm run soak`. A gateway under load and under faults, both drawn from a seed, for as long as is wanted; then
 * says whether it is still what it was: memory, descriptors, the time in which it answers, and its peer.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { randomNumbers } from '../../test/helpers/random.ts';
import { until } from '../../test/helpers/until.ts';
import { messageOf } from '../lab/command.ts';
import { SOAK_FAULTS } from './faults.ts';
import { type Load, startLoad } from './load.ts';
import { drawCurves } from './picture.ts';
import { grows, type Sample, type Slope, slopeOf } from './slope.ts';
import { type Stage, setStage } from './stage.ts';

const USAGE = `npm run soak -- [--minutes N] [--seed S] [--picture FILE]

A gateway with a real interface, its peer, and SAM bridges that can be made to fail. Clients of every kind
load it, and every 10 to 30 s something goes wrong; both are drawn from the seed. At the end all must be as
before: exit 0. N is 10, and at least 3. The picture shows memory, descriptors and answer times as SVG.`;

const FAILED = 1;
const USAGE_ERROR = 64;
const SAMPLE_MS = 2_000;
/** Each takes the gateway some tens of milliseconds. */
const BETWEEN_COLLECTIONS_MS = 30_000;
const BETWEEN_FAULTS_MS = [10_000, 30_000] as const;
/** From the end of the last fault until the peer is reached again: a dial that is not answered is given up after 30 s. */
const RECOVERY_MS = 120_000;
/** Isolated sessions live on for 30 s, and silent clients for 20 s. */
const SETTLE_MS = 45_000;
/**
 * Share of the time after which memory counts. Before that rare paths are taken for the first time, the code is compiled, and
 * caches fill up to their limits: of two hours it took what lives on the heap one until it grew no more.
 */
const WARM_UP = 0.5;
/** The session for datagrams lives on for five minutes, and a dial may be under way. */
const SPARE_DESCRIPTORS = 4;
const MEBIBYTE = 2 ** 20;

interface Records {
  /** Resident, in MiB. */
  readonly memory: Sample[];
  /** The same right after a thorough collection of garbage. */
  readonly collected: Sample[];
  /** On the heap and beside it at that moment, in MiB: what a leak of objects and buffers would raise. */
  readonly living: Sample[];
  /** Resident beside these at that moment, in MiB: what a leak of the native part, or of Node's own, would raise. */
  readonly native: Sample[];
  readonly descriptors: Sample[];
  readonly answers: Sample[];
  /** By how much the event loop was late at its latest between two collections, in milliseconds. */
  readonly delays: Sample[];
  readonly faults: Array<{ readonly seconds: number; readonly name: string }>;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { minutes: { type: 'string' }, seed: { type: 'string' }, picture: { type: 'string' } },
  });
  const [minutes, seed] = [Number(values.minutes ?? 10), Number(values.seed ?? 1)];
  if (!(minutes >= 3) || !Number.isSafeInteger(seed)) throw new Error('--minutes is at least 3, --seed a whole number');
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  const end = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => end.abort());

  const records: Records = {
    memory: [],
    collected: [],
    living: [],
    native: [],
    descriptors: [],
    answers: [],
    delays: [],
    faults: [],
  };
  const stage = await setStage();
  try {
    await reachesPeer(stage);
    await until('the accept is armed', async () => (await stage.daemon.status()).inbound.armed === 1, RECOVERY_MS);
    const before = stage.daemon.descriptors();
    const load = startLoad(stage, randomNumbers(seed));
    const watching = watch(stage, records);
    await suffer(stage, randomNumbers(seed + 1), minutes, records, end.signal);
    await reachesPeer(stage);
    await load.stop();
    await pause(SETTLE_MS);
    await watching.stop();
    const complaints = judge(records, before, stage);
    report(records, load, complaints, before, stage);
    if (values.picture !== undefined) writeFileSync(values.picture, picture(records, minutes, seed));
    return complaints.length === 0 ? 0 : FAILED;
  } finally {
    await stage.stop();
  }
}

async function reachesPeer({ daemon }: Stage): Promise<void> {
  await until('the peer is reached', async () => (await daemon.status()).peers[0]?.state === 'up', RECOVERY_MS);
}

async function suffer(
  stage: Stage,
  random: () => number,
  minutes: number,
  { faults }: Records,
  end: AbortSignal,
): Promise<void> {
  const start = performance.now();
  const [least, most] = BETWEEN_FAULTS_MS;
  for (;;) {
    const rest = start + minutes * 60_000 - performance.now();
    const wait = least + (most - least) * random();
    await pause(Math.max(0, Math.min(rest, wait)), undefined, { signal: end }).catch(() => {});
    if (end.aborted || rest <= wait) return;
    const fault = SOAK_FAULTS[Math.floor(random() * SOAK_FAULTS.length)];
    if (fault === undefined) continue;
    const seconds = Math.round((performance.now() - start) / 1_000);
    faults.push({ seconds, name: fault.name });
    console.log(`${String(seconds).padStart(6)} s  ${fault.name}`);
    await fault.happen(stage);
  }
}

function watch({ daemon }: Stage, { memory, collected, living, native, descriptors, answers, delays }: Records) {
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1_000;
  const timer = setInterval(() => {
    memory.push({ seconds: seconds(), value: daemon.memory() / MEBIBYTE });
    descriptors.push({ seconds: seconds(), value: daemon.descriptors() });
    const asked = performance.now();
    daemon.status().then(
      () => answers.push({ seconds: seconds(), value: performance.now() - asked }),
      () => {}, // It is stopped for a moment now and then; the next answer tells how long that was.
    );
  }, SAMPLE_MS);
  const over = new AbortController();
  const collecting = (async () => {
    for (;;) {
      await pause(BETWEEN_COLLECTIONS_MS, undefined, { signal: over.signal }).catch(() => {});
      if (over.signal.aborted) return;
      const held = await daemon.inside();
      living.push({ value: held.living / MEBIBYTE, seconds: seconds() });
      native.push({ value: held.native / MEBIBYTE, seconds: seconds() });
      collected.push({ value: held.resident / MEBIBYTE, seconds: seconds() });
      delays.push({ value: held.latest, seconds: seconds() });
    }
  })();
  return {
    stop: async () => {
      clearInterval(timer);
      over.abort();
      await collecting;
    },
  };
}

/** What is not as it was. */
function judge(records: Records, before: number, { daemon }: Stage): readonly string[] {
  const complaints: string[] = [];
  if (grows(warmSlope(records.collected))) complaints.push('resident memory grows by more than chance');
  if (grows(warmSlope(records.living))) complaints.push('what lives on the heap grows by more than chance');
  const after = daemon.descriptors();
  if (after > before + SPARE_DESCRIPTORS) complaints.push(`${after} descriptors are open, and ${before} were before`);
  const defects = daemon.said().match(/"msg":"a defect[^"]*"/g) ?? [];
  if (defects.length > 0) complaints.push(`the log tells of ${defects.length} defects: ${defects[0]}`);
  return complaints;
}

function warmSlope(samples: readonly Sample[]): Slope {
  const warm = (samples.at(-1)?.seconds ?? 0) * WARM_UP;
  return slopeOf(samples.filter(({ seconds }) => seconds >= warm));
}

function report(records: Records, { done }: Load, complaints: readonly string[], before: number, stage: Stage): void {
  const answers = (part: number) => quantile(records.answers, part);
  console.log(`
done         ${Object.entries(done)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ')}
faults       ${records.faults.length}
memory       ${spanOf(records.memory)}
  collected  ${spanOf(records.collected)}; ${describe(warmSlope(records.collected))}
  living     ${spanOf(records.living)}; ${describe(warmSlope(records.living))}
  native     ${spanOf(records.native)}; ${describe(warmSlope(records.native))}
descriptors  ${before} before, ${stage.daemon.descriptors()} after, ${Math.max(...records.descriptors.map(({ value }) => value))} at most
event loop   late by ${quantile(records.delays, 0.5)} ms at its latest in ${BETWEEN_COLLECTIONS_MS / 1_000} s (median), ${quantile(records.delays, 1)} ms at most
status       answered in ${answers(0.5)} ms (median), ${answers(0.99)} ms (99 of 100), ${answers(1)} ms at most
${complaints.length === 0 ? 'all is as it was' : complaints.map((one) => `NOT WELL: ${one}`).join('\n')}`);
}

function spanOf(samples: readonly Sample[]): string {
  const values = samples.map(({ value }) => value);
  return `${Math.min(...values).toFixed(1)} to ${Math.max(...values).toFixed(1)} MiB`;
}

/** @param part 0 for the least, 1 for the most */
function quantile(samples: readonly Sample[], part: number): string {
  const values = samples.map(({ value }) => value).toSorted((one, other) => one - other);
  return values[Math.floor((values.length - 1) * part)]?.toFixed(1) ?? '-';
}

function describe({ perHour, error }: Slope): string {
  return `slope ${perHour.toFixed(2)} ± ${error.toFixed(2)} MiB per hour`;
}

function picture(
  { memory, collected, living, native, descriptors, answers, delays, faults }: Records,
  minutes: number,
  seed: number,
): string {
  const curves = [
    { title: 'resident memory, MiB', samples: memory },
    { title: 'resident memory after a collection, MiB', samples: collected },
    { title: 'alive on the heap and beside it, MiB', samples: living },
    { title: 'resident beside these, MiB', samples: native },
    { title: 'open descriptors', samples: descriptors },
    { title: 'time until status is answered, ms', samples: answers },
    { title: 'the event loop was late at its latest by, ms', samples: delays },
  ];
  const caption = `npm run soak -- --minutes ${minutes} --seed ${seed}; a line for each of ${faults.length} faults`;
  return drawCurves(
    caption,
    curves,
    faults.map(({ seconds }) => seconds),
  );
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`${messageOf(error)}\n\n${USAGE}`);
  process.exitCode = USAGE_ERROR;
}
