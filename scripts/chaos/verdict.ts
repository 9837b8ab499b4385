/** When a row of the fault lab's tables is good, and what is wrong with it where it is not. */
import type { Stream } from './watch.ts';

/** A connection that ended before its time. */
export interface Broken {
  readonly stream: Stream;
  readonly why: string;
  /** Bytes that were handed over to it and did not come. */
  readonly lost: number;
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

export interface Findings {
  /** By kind of traffic: for how long it was away in milliseconds; undefined where it never came back. */
  readonly away: Readonly<Record<string, number | undefined>>;
  /** By kind of traffic, what was wrong with what came; undefined where nothing was. */
  readonly wrong: Readonly<Record<string, string | undefined>>;
  readonly broken: readonly Broken[];
  /** Those that cannot outlive it. */
  readonly mayBreak: readonly Stream[];
  readonly changes: readonly Change[];
}

/** @returns each thing that must not be; none for a row that is good */
export function failuresOf({ away, wrong, broken, mayBreak, changes }: Findings): readonly string[] {
  return [
    ...Object.entries(wrong).flatMap(([kind, why]) => (why === undefined ? [] : [`${kind}: ${why}`])),
    ...Object.entries(away).flatMap(([kind, ms]) => (ms === undefined ? [`${kind} did not come back`] : [])),
    ...broken.filter(({ stream }) => !mayBreak.includes(stream)).map(({ stream, why }) => `${stream} broke: ${why}`),
    ...changes.filter(isTooMuch).map(({ what, before, after }) => `${what} ${changed(before, after)}`),
  ];
}

/** What is not there any more has to be: a gateway that has died holds nothing. */
export function isTooMuch({ before, after, mayGrow }: Change): boolean {
  return before === undefined || after === undefined || after > before + mayGrow;
}

export function changed(before: number | undefined, after: number | undefined): string {
  return `${before ?? '-'} → ${after ?? '-'}`;
}
