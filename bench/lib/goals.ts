/** What must be reached, and whether it was. A goal is a ratio to somebody else's figure in the same run. */
import { table } from './table.ts';

export interface Goal {
  readonly text: string;
  readonly bound: { readonly kind: 'at least' | 'at most'; readonly value: number };
  readonly measured: number;
  readonly reached: boolean;
}

export function atLeast(value: number, text: string, measured: number): Goal {
  return { text, bound: { kind: 'at least', value }, measured, reached: measured >= value };
}

export function atMost(value: number, text: string, measured: number): Goal {
  return { text, bound: { kind: 'at most', value }, measured, reached: measured <= value };
}

export function goalsTable(goals: readonly Goal[]): string {
  const rows = goals.map(({ text, bound, measured, reached }) => [
    text,
    `${bound.kind} ${bound.value.toFixed(2)}`,
    measured.toFixed(2),
    reached ? 'reached' : 'missed',
  ]);
  return table([['goal', 'wanted', 'measured', ''], ...rows]);
}
