/** The lab's progress as lines among the others that a measurement writes while it works. */
import type { Progress } from '../../scripts/lab/progress.ts';

export function quietProgress(note: (text: string) => void): Progress {
  return {
    hasShown: () => false,
    say: note,
    step: async (title, work, describe = () => '') => {
      const result = await work(() => {});
      note(`${title} ${describe(result)}`);
      return result;
    },
  };
}
