/** Takes down what a measurement has set up, also when it fails or is interrupted. */
import { SetUpError } from '../../scripts/lib/command.mjs';

type Step = () => Promise<void> | void;

export interface Cleanup {
  /** Aborts when the measurement is interrupted, by Ctrl-C or by whoever ends the bench. */
  readonly interrupted: AbortSignal;
  /** The step is taken at the end, later ones first. */
  add(step: Step): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** @throws SetUpError as soon as it is interrupted and all is taken down, whatever `work` still waits for */
export async function withCleanup<T>(work: (cleanup: Cleanup) => Promise<T>): Promise<T> {
  const interruption = new AbortController();
  const { signal } = interruption;
  const onSignal = () => interruption.abort(new SetUpError('Interrupted.'));
  for (const name of SIGNALS) process.on(name, onSignal);
  const cut = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  const steps: Step[] = [];
  let isOver = false;
  const add = (step: Step) => {
    // Interrupted work may be just about to start something.
    if (isOver) void step();
    else steps.push(step);
  };
  try {
    return await Promise.race([work({ interrupted: signal, add }), cut]);
  } finally {
    isOver = true;
    for (const step of steps.reverse()) await step();
    for (const name of SIGNALS) process.off(name, onSignal);
  }
}
