/** What the commands need of the terminal: two ways to say something, tables, and JSON. */
import { plain, plainJson } from '../kit/plain.ts';

export interface Terminal {
  /** To standard output. Every line stays one, and says nothing to the terminal itself, whatever is in it. */
  print(...lines: readonly string[]): void;
  /** To standard error, in the same way. */
  complain(...lines: readonly string[]): void;
  /** Is standard output a screen that can be cleared? */
  readonly isScreen: boolean;
  clear(): void;
}

export interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export function createTerminal(output: Output, complaints: Pick<Output, 'write'>): Terminal {
  return {
    print: (...lines) => {
      output.write(together(lines));
    },
    complain: (...lines) => {
      complaints.write(together(lines));
    },
    isScreen: output.isTTY === true,
    clear: () => {
      output.write('\u001b[H\u001b[2J');
    },
  };
}

function together(lines: readonly string[]): string {
  return lines.map((line) => `${plain(line)}\n`).join('');
}

/** An answer for programs, in one line. */
export function json(answer: unknown): string {
  return plainJson(JSON.stringify(answer));
}

/** Columns as wide as their widest cell, two blanks apart. */
export function table(rows: ReadonlyArray<readonly string[]>): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
