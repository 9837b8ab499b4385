/**
 * Shows a person what the lab does: one line per step with a tick and its time, and on a terminal a line that moves while
 * a step runs. Knows nothing of the steps.
 */
import { messageOf } from './command.ts';

export interface Progress {
  /**
   * Runs one step and prints how it went.
   *
   * @param work may say in what it is just doing
   * @param describe what to print about the result, nothing for an empty text
   * @throws what `work` throws, after printing it
   */
  step<T>(
    title: string,
    work: (note: (text: string) => void) => Promise<T>,
    describe?: (result: T) => string,
  ): Promise<T>;
  say(text: string): void;
  /** Has a step failed with this, so that it stands on the screen already? */
  hasShown(thrown: unknown): boolean;
}

type Output = { readonly isTTY?: boolean; readonly columns?: number; write(text: string): unknown };

const TITLE_WIDTH = 52;
const REPAINT_MS = 250;
const CLEAR_LINE = '\r\u001b[2K';

export function showProgress(output: Output): Progress {
  const paint = (text: string) => {
    if (output.isTTY) output.write(`${CLEAR_LINE}${text.slice(0, (output.columns ?? 80) - 1)}`);
  };
  const line = (mark: string, title: string, start: number, detail: string) => {
    const time = `${secondsSince(start)} s`.padStart(8);
    const rest = detail === '' ? '' : `   ${detail.replaceAll('\n', '\n    ')}`;
    output.write(`${output.isTTY ? CLEAR_LINE : ''}${mark} ${title.padEnd(TITLE_WIDTH)}${time}${rest}\n`);
  };
  const shown = new Set<unknown>();
  return {
    hasShown: (thrown) => shown.has(thrown),
    say: (text) => void output.write(`${text}\n`),
    step: async (title, work, describe = () => '') => {
      const start = performance.now();
      let note = '';
      const repaint = () => paint(`… ${title}${note === '' ? '' : ` (${note})`} ${secondsSince(start)} s`);
      const timer = setInterval(repaint, REPAINT_MS);
      repaint();
      try {
        const result = await work((text) => {
          note = text.split('\n', 1)[0] ?? '';
          repaint();
        });
        line('✓', title, start, describe(result));
        return result;
      } catch (error) {
        if (!shown.has(error)) line('✗', title, start, `\n${messageOf(error)}`);
        shown.add(error);
        throw error;
      } finally {
        clearInterval(timer);
      }
    },
  };
}

function secondsSince(start: number): string {
  return ((performance.now() - start) / 1000).toFixed(1);
}
