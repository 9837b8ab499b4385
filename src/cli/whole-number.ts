/** A whole number as the value of an option. */
import { InvalidArgumentError } from 'commander';

/** @returns the parser that commander asks, which tells every other value and ends as wrong usage */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`A whole number from ${least} to ${most} is wanted.`);
  };
}
