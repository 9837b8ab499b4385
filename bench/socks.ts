/**
 * `npm run bench -- socks`: the SOCKS relay on loopback, against microsocks and dante in the same rounds. garligate reaches
 * the service through a bare SAM bridge, and so does the bare proxy beside it; the others go straight. docs/performance.md says how to read the tables.
 */
import { withCleanup } from './lib/cleanup.ts';
import { compileBareProxy, compileLoadPrograms } from './lib/compile.ts';
import { atLeast, atMost, type Goal, goalsTable } from './lib/goals.ts';
import { type LoadPlan, runLoad, startLoad } from './lib/load.ts';
import { describeMachine, type Machine, machineLine } from './lib/machine.ts';
import { startProgram, untilSaid } from './lib/program.ts';
import { RELAYS, type Relay, type RelayName, startRelay } from './lib/relays.ts';
import { median, ratio, spread } from './lib/statistics.ts';
import { table } from './lib/table.ts';

export interface SocksBenchOptions {
  readonly rounds: number;
  /** Of each load. */
  readonly seconds: number;
  /** How many idle connections are held for the memory figure; 0 leaves it out. */
  readonly idle: number;
  /** Without warming up, and without short connections beside many that stand. */
  readonly quick: boolean;
  readonly note: (text: string) => void;
}

/** One load on one relay. */
interface Sample {
  /** Per second: bytes or connections. */
  readonly rate: number;
  /** CPU seconds of the relay per GB, or per 1000 connections; 0 where there is no relay. */
  readonly cpu: number;
  readonly failed: number;
}

interface IdleSample {
  readonly opened: number;
  readonly bytes: number;
  readonly bytesBefore: number;
  readonly processes: number;
}

const LOADS = {
  down: { mode: 'down', connections: 1 },
  up: { mode: 'up', connections: 1 },
  'down, 8 connections': { mode: 'down', connections: 8 },
  'short connections': { mode: 'connect', connections: 16 },
} as const satisfies Record<string, Pick<LoadPlan, 'mode' | 'connections'>>;
type LoadName = keyof typeof LOADS;
const LOAD_NAMES = Object.keys(LOADS) as LoadName[];

/** What a new connection costs while so many others stand. */
const STANDING = [1, 100, 5000] as const;

interface ScaleSample {
  readonly standing: number;
  readonly short: Sample;
}

export interface SocksBenchReport {
  readonly machine: Machine;
  readonly samples: Readonly<Record<LoadName, Readonly<Record<RelayName, readonly Sample[]>>>>;
  readonly idle: Readonly<Partial<Record<RelayName, IdleSample>>>;
  readonly scale: readonly ScaleSample[];
  readonly goals: readonly Goal[];
}

/** The service ends by itself after this long, whatever became of the bench. Seconds. */
const LONGEST_RUN = 3600;
/** After a second of short connections V8 is still compiling, and the rate grows by a third. */
const WARM_UP_SECONDS = 5;
const OPENING_SECONDS = 60;
const GIGABYTE = 1e9;

export function benchSocks(options: SocksBenchOptions): Promise<SocksBenchReport> {
  return withCleanup(async (cleanup) => {
    const machine = describeMachine();
    const { service, load } = await compileLoadPrograms();
    const behind = startProgram(service, [String(LONGEST_RUN)]);
    cleanup.add(() => behind.stop());
    const [, plain, sam] = await untilSaid(behind, /plain (\d+)\nsam (\d+)\n/, 5_000);
    const parts = { plain: Number(plain), sam: Number(sam), bareProxy: await compileBareProxy() };
    const start = (name: RelayName) => startRelay(name, parts, cleanup);
    const samples = await measureLoads(load, start, options);
    const idle = options.idle === 0 ? {} : await measureIdle(load, start, options);
    const scale = options.quick ? [] : await measureScale(load, start, options);
    return { machine, samples, idle, scale, goals: judge(samples, idle) };
  });
}

type StartRelay = (name: RelayName) => Promise<Relay>;

async function measureLoads(load: string, start: StartRelay, { rounds, seconds, quick, note }: SocksBenchOptions) {
  const samples = emptySamples();
  const relays = new Map<RelayName, Relay>();
  for (const name of RELAYS) relays.set(name, await start(name));
  // What a program does only once, such as compiling itself, is not what is measured.
  for (const relay of quick ? [] : relays.values()) {
    for (const each of LOAD_NAMES) await runLoad(load, relay, { ...LOADS[each], seconds: WARM_UP_SECONDS });
  }
  for (let round = 1; round <= rounds; round += 1) {
    for (const each of LOAD_NAMES) {
      note(`round ${round} of ${rounds}: ${each}`);
      // One after the other within a round, so that all of them meet the same neighbours.
      for (const [name, relay] of relays) {
        samples[each][name].push(await sample(load, relay, { ...LOADS[each], seconds }));
      }
    }
  }
  for (const relay of relays.values()) await relay.stop();
  return samples;
}

function emptySamples(): Record<LoadName, Record<RelayName, Sample[]>> {
  const perRelay = () => ({ direct: [], microsocks: [], dante: [], bare: [], garligate: [] });
  return {
    down: perRelay(),
    up: perRelay(),
    'down, 8 connections': perRelay(),
    'short connections': perRelay(),
  };
}

async function sample(load: string, relay: Relay, plan: LoadPlan): Promise<Sample> {
  const before = relay.program?.cpuSeconds() ?? 0;
  const { count, seconds, failed } = await runLoad(load, relay, plan);
  const cpuSeconds = (relay.program?.cpuSeconds() ?? 0) - before;
  const unit = plan.mode === 'connect' ? 1000 : GIGABYTE;
  return { rate: count / seconds, cpu: (cpuSeconds / count) * unit, failed };
}

/** In fresh processes: memory that a load has left behind is not what idle connections cost. */
async function measureIdle(load: string, start: StartRelay, { idle, note }: SocksBenchOptions) {
  const found: Partial<Record<RelayName, IdleSample>> = {};
  for (const name of ['microsocks', 'garligate'] as const) {
    note(`${idle} idle connections: ${name}`);
    const relay = await start(name);
    const bytesBefore = relay.program?.memory() ?? 0;
    const plan: LoadPlan = { mode: 'hold', connections: idle, seconds: OPENING_SECONDS };
    const { program, report } = await startLoad(load, relay, plan);
    found[name] = {
      opened: report.count,
      bytes: relay.program?.memory() ?? 0,
      bytesBefore,
      processes: relay.program?.processes() ?? 0,
    };
    await program.finish();
    await relay.stop();
  }
  return found;
}

/** The same load in one process, while more and more connections stand idle. */
async function measureScale(load: string, start: StartRelay, { seconds, note }: SocksBenchOptions) {
  const found: ScaleSample[] = [];
  const relay = await start('garligate');
  const plan: LoadPlan = { ...LOADS['short connections'], seconds };
  await runLoad(load, relay, { ...plan, seconds: WARM_UP_SECONDS });
  for (const standing of STANDING) {
    note(`short connections beside ${standing} that stand`);
    const held = await startLoad(load, relay, { mode: 'hold', connections: standing, seconds: OPENING_SECONDS });
    found.push({ standing: held.report.count, short: await sample(load, relay, plan) });
    await held.program.finish();
  }
  await relay.stop();
  return found;
}

function judge(samples: SocksBenchReport['samples'], idle: SocksBenchReport['idle']): Goal[] {
  const compare = (name: LoadName, figure: 'rate' | 'cpu', other: RelayName) =>
    ratio(
      samples[name].garligate.map((each) => each[figure]),
      samples[name][other].map((each) => each[figure]),
    );
  const goals = [
    atLeast(2, 'throughput down, one connection, against microsocks', compare('down', 'rate', 'microsocks')),
    atLeast(2, 'throughput up, one connection, against microsocks', compare('up', 'rate', 'microsocks')),
    atMost(1, 'CPU per GB down against microsocks', compare('down', 'cpu', 'microsocks')),
    atMost(1, 'CPU per GB up against microsocks', compare('up', 'cpu', 'microsocks')),
    atLeast(1, 'short connections per second against dante', compare('short connections', 'rate', 'dante')),
  ];
  const { garligate, microsocks } = idle;
  if (garligate !== undefined && microsocks !== undefined) {
    const text = `memory for ${garligate.opened} idle connections against microsocks`;
    goals.push(atMost(1, text, garligate.bytes / garligate.opened / (microsocks.bytes / microsocks.opened)));
  }
  return goals;
}

export function printSocksReport({ machine, samples, idle, scale, goals }: SocksBenchReport): string {
  const sections = [machineLine(machine)];
  for (const name of LOAD_NAMES) {
    const isBytes = LOADS[name].mode !== 'connect';
    const per = isBytes ? ['Gbit/s', 'CPU s/GB'] : ['per second', 'CPU s/1000'];
    const heading = [name, ...per, 'spread', '× microsocks', '× dante', 'failed'];
    const rows = RELAYS.map((relay) => {
      const of = (other: RelayName) => samples[name][other].map(({ rate }) => rate);
      const rates = of(relay);
      const rate = isBytes ? ((median(rates) * 8) / GIGABYTE).toFixed(2) : median(rates).toFixed(0);
      const cpu = relay === 'direct' ? '-' : median(samples[name][relay].map((each) => each.cpu)).toFixed(2);
      const failed = samples[name][relay].reduce((sum, each) => sum + each.failed, 0);
      const against = [ratio(rates, of('microsocks')), ratio(rates, of('dante'))].map((value) => value.toFixed(2));
      return [relay, rate, cpu, `${(spread(rates) * 100).toFixed(0)} %`, ...against, String(failed)];
    });
    sections.push(table([heading, ...rows]));
  }
  const idleRows = Object.entries(idle).map(([name, { opened, bytes, bytesBefore, processes }]) => [
    name,
    String(opened),
    (bytes / 2 ** 20).toFixed(1),
    (bytesBefore / 2 ** 20).toFixed(1),
    ((bytes - bytesBefore) / opened / 1024).toFixed(2),
    String(processes),
  ]);
  if (idleRows.length > 0) {
    const heading = ['idle connections', 'opened', 'MiB', 'MiB before', 'KiB each', 'processes'];
    sections.push(table([heading, ...idleRows]));
  }
  const scaleRows = scale.map(({ standing, short }) => [
    `beside ${standing}`,
    short.rate.toFixed(0),
    short.cpu.toFixed(2),
    String(short.failed),
  ]);
  if (scale.length > 0)
    sections.push(table([['garligate, short connections', 'per second', 'CPU s/1000', 'failed'], ...scaleRows]));
  sections.push(goalsTable(goals));
  return `${sections.join('\n\n')}\n`;
}
