/** Work that leaves things standing which must be taken down again, however it ends. Does not know what they are. */
import { asGateError, type GateError } from '../kit/errors.ts';

/** Takes one thing down. */
export type UndoStep = () => Promise<void>;

/**
 * Runs `work`, and then every step that it has handed to `undo`, newest first. A step that throws keeps no other one
 * from running: whatever is left up would stay in the way of the next start.
 *
 * @param report hears of every step that failed
 * @throws what `work` threw, otherwise what the first failing step threw
 */
export async function withUndo(
  report: (error: GateError) => void,
  work: (undo: (step: UndoStep) => void) => Promise<void>,
): Promise<void> {
  const steps: UndoStep[] = [];
  const thrown: unknown[] = [];
  try {
    await work((step) => void steps.push(step));
  } catch (error) {
    thrown.push(error);
  }
  for (const step of steps.reverse()) {
    try {
      await step();
    } catch (error) {
      report(asGateError(error, 'taking the gateway down'));
      thrown.push(error);
    }
  }
  if (thrown.length > 0) throw thrown[0];
}
