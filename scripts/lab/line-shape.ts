/**
 * How slow, narrow and bad the line between routers 1 and 2 is to be, as a person says it on the command line, and what that
 * makes of each of the two cables that it consists of. Text and numbers only.
 */

export interface LineShape {
  /** Added to the round trip between routers 1 and 2. Milliseconds. */
  readonly roundTripMs: number;
  /** Bytes per second in each direction, 0 for as fast as it goes. */
  readonly bytesPerSecond: number;
  /** Share of the frames of each direction that is lost at random, from 0 to 1. */
  readonly loss: number;
  /** Which frames these are: equal seeds lose alike. */
  readonly seed: number;
}

/** What one cable does to each direction. */
export interface CableShape {
  readonly delayMs: number;
  readonly bytesPerSecond: number;
  readonly loss: number;
  /** Bytes that may wait for their turn; what comes on top is dropped. */
  readonly queueBytes: number;
}

export interface LineWords {
  readonly rtt?: string | undefined;
  readonly rate?: string | undefined;
  readonly loss?: string | undefined;
  readonly seed?: string | undefined;
}

const LONGEST_ROUND_TRIP_MS = 3_000;
const LOWEST_RATE = 5_000;
const HIGHEST_RATE = 1e9;
const HIGHEST_LOSS = 0.5;
const HIGHEST_SEED = 2 ** 32 - 1;
const TIME_UNITS = { ms: 1, s: 1_000 };
const RATE_UNITS = { 'B/s': 1, 'kB/s': 1e3, 'MB/s': 1e6 };
const LOSS_UNITS = { '%': 0.01 };
/** The two cables, of routers 1 and 2, that every packet between them takes. */
const CABLES = 2;
/** As in a modem: so long a wait, but never so little that a burst of one window does not fit. */
const QUEUE_SECONDS = 0.5;
const SMALLEST_QUEUE = 64 * 1024;
const UNLIMITED_QUEUE = 64 * 1024 * 1024;

/**
 * @returns undefined when no word asks for a line of its own
 * @throws Error that says which word is wrong and how it should look
 */
export function parseLine({ rtt, rate, loss, seed }: LineWords): LineShape | undefined {
  const wrong = (option: string, word: string, wanted: string) =>
    new Error(`--${option} must be ${wanted}, not ${JSON.stringify(word)}`);
  if (rtt === undefined && rate === undefined && loss === undefined) {
    if (seed !== undefined) throw new Error('--seed has no use without --loss: it says which packets get lost');
    return undefined;
  }
  const roundTripMs = measure(rtt ?? '0ms', TIME_UNITS);
  if (roundTripMs === undefined || roundTripMs > LONGEST_ROUND_TRIP_MS) {
    throw wrong('rtt', rtt ?? '', 'a time of at most 3s, such as 800ms');
  }
  const bytesPerSecond = rate === undefined ? 0 : measure(rate, RATE_UNITS);
  const isRate =
    rate === undefined ||
    (bytesPerSecond !== undefined && bytesPerSecond >= LOWEST_RATE && bytesPerSecond <= HIGHEST_RATE);
  if (bytesPerSecond === undefined || !isRate) {
    throw wrong('rate', rate ?? '', 'from 5kB/s to 1000MB/s, such as 100kB/s');
  }
  const share = measure(loss ?? '0%', LOSS_UNITS);
  if (share === undefined || share > HIGHEST_LOSS) throw wrong('loss', loss ?? '', 'from 0% to 50%, such as 1%');
  const number = seed === undefined ? 1 : Number(seed);
  if (!Number.isInteger(number) || number < 0 || number > HIGHEST_SEED) {
    throw wrong('seed', seed ?? '', `a whole number from 0 to ${HIGHEST_SEED}`);
  }
  return { roundTripMs, bytesPerSecond, loss: share, seed: number };
}

function measure(word: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, figure, unit = ''] = /^(\d+(?:\.\d+)?)\s*(\D+)$/.exec(word) ?? [];
  const size = units[unit];
  return figure === undefined || size === undefined ? undefined : Number(figure) * size;
}

/** Both together add the round trip and lose the share that was asked for; each is as narrow as the whole. */
export function cableShape({ roundTripMs, bytesPerSecond, loss }: LineShape): CableShape {
  return {
    delayMs: roundTripMs / 2 / CABLES,
    bytesPerSecond,
    loss: 1 - (1 - loss) ** (1 / CABLES),
    queueBytes: bytesPerSecond === 0 ? UNLIMITED_QUEUE : Math.max(SMALLEST_QUEUE, bytesPerSecond * QUEUE_SECONDS),
  };
}

/** In the words of the command line. */
export function describeLine({ roundTripMs, bytesPerSecond, loss, seed }: LineShape): string {
  const rate = bytesPerSecond === 0 ? 'any rate' : describeRate(bytesPerSecond);
  return `round trip ${roundTripMs} ms, ${rate}, ${(loss * 100).toFixed(2)} % lost (seed ${seed})`;
}

export function describeRate(bytesPerSecond: number): string {
  return bytesPerSecond < 1e6
    ? `${(bytesPerSecond / 1e3).toFixed(1)} kB/s`
    : `${(bytesPerSecond / 1e6).toFixed(2)} MB/s`;
}
