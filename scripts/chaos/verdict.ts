/** When a row of the fault lab's tables is good, and what is wrong with it where it is not. */
import type { Stream } from './watch.ts';

/** A connection that ended before its time. */
export interface Broken {
  readonly stream: Stream;
  readonly why: string;
  /** Bytes that were handed over to it and did not come. */
  readonly lost: number;
  /** Of the bytes that were handed over to it, those that had not come when the fault began; 0 where it began later. */
  readonly inFlight: number;
  /** Bytes that its writer hands over in a second. */
  readonly pace: number;
}

/** What is left of something that was there before. */
export interface Change {
  /** For a person. */
  readonly what: string;
  readonly before: number | undefined;
  readonly after: number | undefined;
  /** So much more than before may be there. */
  readonly mayGrow: number;
}

/** One thing that is held, and can be counted. */
export interface Measure<Held> {
  /** For a person. */
  readonly what: string;
  readonly of: (held: Held) => number;
  readonly mayGrow: number;
}

/** What was held at three times; undefined of what was not there. */
export interface Holding<Held> {
  /** Before the first fault of all. */
  readonly first: Held | undefined;
  readonly before: Held | undefined;
  readonly after: Held | undefined;
}

/** What is wrong with a row; a row without any of it is good. */
export interface Judgement {
  /** What must not be. */
  readonly failures: readonly string[];
  /** What came back, and later than it is meant to. */
  readonly late: readonly string[];
}

export interface Findings {
  /** By kind of traffic: for how long it was away in milliseconds; undefined where it never came back. */
  readonly away: Readonly<Record<string, number | undefined>>;
  /** The same of a bare SAM stream on the same routers: what they need themselves. */
  readonly bareAway: number | undefined;
  /** For so many milliseconds the fault itself let nothing through; nobody can be back before. */
  readonly blockedMs: number;
  /** The same for the bare stream, where that is less: it may be cut later. */
  readonly bareBlockedMs?: number;
  /** By kind of traffic, what was wrong with what came; undefined where nothing was. */
  readonly wrong: Readonly<Record<string, string | undefined>>;
  readonly broken: readonly Broken[];
  /** Those that cannot outlive it. */
  readonly mayBreak: readonly Stream[];
  readonly changes: readonly Change[];
}

/** So long the news may be under way to a writer: in seconds. */
const NEWS_S = 1;
/** Of the time that the routers themselves need, so much may pass until all is back. */
const SHARE_OF_ROUTERS = 1.2;
/** As long it may always take. */
const BACK_WITHIN_MS = 10_000;

export function judge(findings: Findings): Judgement {
  return { failures: failuresOf(findings), late: lateOf(findings) };
}

/** Of one fault that happened several times: none may have failed, and how long all was away is judged by the medians. */
export function judgeTogether(times: readonly [Findings, ...Findings[]]): Judgement {
  return { failures: times.flatMap(failuresOf), late: lateOf({ ...times[0], ...medianTimes(times) }) };
}

export type Times = Pick<Findings, 'away' | 'bareAway'>;

/** The medians of all kinds of traffic, each by itself. What did not come back was longer away than all that did. */
export function medianTimes(times: readonly [Times, ...Times[]]): Times {
  const kinds = Object.keys(times[0].away);
  return {
    away: Object.fromEntries(kinds.map((kind) => [kind, median(times.map(({ away }) => away[kind]))])),
    bareAway: median(times.map(({ bareAway }) => bareAway)),
  };
}

/** The longer one of the two in the middle, where there are two. */
function median(times: readonly (number | undefined)[]): number | undefined {
  const sorted = times.map((ms) => ms ?? Number.POSITIVE_INFINITY).sort((one, other) => one - other);
  const middle = sorted[Math.floor(sorted.length / 2)];
  return middle === Number.POSITIVE_INFINITY ? undefined : middle;
}

export function isGood({ failures, late }: Judgement): boolean {
  return failures.length === 0 && late.length === 0;
}

function failuresOf({ away, wrong, broken, mayBreak, changes }: Findings): readonly string[] {
  return [
    ...Object.entries(wrong).flatMap(([kind, why]) => (why === undefined ? [] : [`${kind}: ${why}`])),
    ...Object.entries(away).flatMap(([kind, ms]) => (ms === undefined ? [`${kind} did not come back`] : [])),
    ...broken.filter(({ stream }) => !mayBreak.includes(stream)).map(({ stream, why }) => `${stream} broke: ${why}`),
    ...broken.flatMap((one) => {
      const most = underWay(one, away[one.stream]);
      return one.lost > most ? [`${one.stream} lost ${one.lost} bytes, and ${most} can have been under way`] : [];
    }),
    ...changes.filter(isTooMuch).map(({ what, before, after }) => `${what} ${changed(before, after)}`),
  ];
}

/**
 * What cannot be saved where a connection ends, in bytes: what was under way when the fault began, and what its writer handed
 * over until it could know of it. A connection is silent for as long as routers look for a way, and nobody can tell its writer
 * before whether they will find one.
 */
function underWay({ inFlight, pace }: Broken, awayMs = Number.POSITIVE_INFINITY): number {
  return Math.round(inFlight + pace * (awayMs / 1_000 + NEWS_S));
}

/** What never came back is no matter of time. Without a bare stream to compare with nobody can say that the routers took longer. */
function lateOf({ away, bareAway, blockedMs, bareBlockedMs = blockedMs }: Findings): readonly string[] {
  const needed = (ms: number) => Math.max(ms - blockedMs, 0);
  const ofRouters = bareAway === undefined ? 0 : SHARE_OF_ROUTERS * Math.max(bareAway - bareBlockedMs, 0);
  const goal = Math.max(ofRouters, BACK_WITHIN_MS);
  const without = bareAway === undefined ? ', as the bare stream did not come back' : '';
  return Object.entries(away).flatMap(([kind, ms]) =>
    ms === undefined || needed(ms) <= goal
      ? []
      : [`${kind} needed ${seconds(needed(ms))}, and the goal is ${seconds(goal)}${without}`],
  );
}

/**
 * What is held after a fault beside what was before it, and before the first one: each row of many may hold a little more than
 * the one before, and no row would say so.
 */
export function changesOf<Held>(
  measures: readonly Measure<Held>[],
  { first, before, after }: Holding<Held>,
): readonly Change[] {
  const since = (then: Held | undefined, words: string) =>
    measures.map(({ what, of, mayGrow }): Change => {
      return { what: `${what}${words}`, before: then && of(then), after: after && of(after), mayGrow };
    });
  return [...since(before, ''), ...(first === before ? [] : since(first, ' since before the first fault'))];
}

/** What is not there any more has to be: a gateway that has died holds nothing. */
export function isTooMuch({ before, after, mayGrow }: Change): boolean {
  return before === undefined || after === undefined || after > before + mayGrow;
}

export function changed(before: number | undefined, after: number | undefined): string {
  return `${before ?? '-'} → ${after ?? '-'}`;
}

export function seconds(ms: number | undefined): string {
  return ms === undefined ? 'not back' : `${(ms / 1_000).toFixed(1)} s`;
}

/** @returns the last words about all rows, by the names of their faults */
export function summaryOf(rows: ReadonlyMap<string, Judgement>): string {
  const names = (pick: (judgement: Judgement) => boolean) =>
    [...rows].flatMap(([name, judgement]) => (pick(judgement) ? [name] : []));
  const failed = names(({ failures }) => failures.length > 0);
  const onlyLate = names(({ failures, late }) => failures.length === 0 && late.length > 0);
  if (failed.length + onlyLate.length === 0) return 'all rows are good';
  return [
    ...(failed.length > 0 ? [`FAILED: ${failed.join(', ')}`] : []),
    ...(onlyLate.length > 0 ? [`MISSED only the goal for the time: ${onlyLate.join(', ')}`] : []),
  ].join('\n');
}
