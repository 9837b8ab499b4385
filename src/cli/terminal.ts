/** What the commands need of the terminal: two ways to say something, and tables. */

export interface Terminal {
  /** To standard output. */
  print(line: string): void;
  /** To standard error. */
  complain(line: string): void;
  /** Is standard output a screen that can be cleared? */
  readonly isScreen: boolean;
  clear(): void;
}

export const processTerminal: Terminal = {
  print: (line) => {
    process.stdout.write(`${line}\n`);
  },
  complain: (line) => {
    process.stderr.write(`${line}\n`);
  },
  isScreen: process.stdout.isTTY === true,
  clear: () => {
    process.stdout.write('\u001b[H\u001b[2J');
  },
};

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

/** Text from elsewhere, so that it can neither move the cursor nor pretend to be another line. */
export function plain(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}
