/**
 * Asks a helper process inside a namespace to do something there. The process speaks over Node's IPC channel, which is
 * a socket pair and therefore knows no namespaces.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Answer, Order } from './helper.ts';
import { inNamespace } from './namespaces.ts';
import type { Figures, Task } from './tasks.ts';

export interface NamespaceHelper {
  /** @throws Error when the task fails, or the helper is gone */
  perform(task: Task): Promise<Figures>;
  stop(): Promise<void>;
}

const PROGRAM = fileURLToPath(new URL('helper.ts', import.meta.url));
const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));

export async function startHelper(namespace: string): Promise<NamespaceHelper> {
  const args = ['--import', 'tsx', PROGRAM];
  const child: ChildProcess = spawn(...inNamespace(namespace, process.execPath, args), {
    cwd: CHECKOUT,
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  await once(child, 'spawn');

  const waiting = new Map<number, (answer: Answer) => void>();
  let orders = 0;
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => {
      for (const [number, settle] of waiting) {
        settle({ number, kind: 'failed', why: `the helper process in ${namespace} has ended` });
      }
      resolve();
    });
  });
  child.on('error', () => {}); // Sending to a process that has just ended: its exit settles what waits.
  child.on('message', (answer: Answer) => waiting.get(answer.number)?.(answer));

  return {
    perform: async (task) => {
      const order: Order = { number: orders++, task };
      const answer = await new Promise<Answer>((resolve) => {
        waiting.set(order.number, resolve);
        if (child.connected) child.send(order);
        else resolve({ number: order.number, kind: 'failed', why: `there is no helper process in ${namespace}` });
      });
      waiting.delete(order.number);
      if (answer.kind === 'failed') throw new Error(`${task.kind} in ${namespace}: ${answer.why}`);
      return answer.figures;
    },
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await gone;
    },
  };
}
