/**
 * A program: the helper process inside a namespace. Started by namespace-helper.ts with an IPC channel; performs one task
 * per message, and ends when the lab does.
 */
import { messageOf } from './command.ts';
import { type Figures, perform, type Task } from './tasks.ts';

export type Order = { readonly number: number; readonly task: Task };
export type Answer =
  | { readonly number: number; readonly kind: 'done'; readonly figures: Figures }
  | { readonly number: number; readonly kind: 'failed'; readonly why: string };

process.on('disconnect', () => process.exit(0));
process.on('message', (order: Order) => void answer(order));

async function answer({ number, task }: Order): Promise<void> {
  let reply: Answer;
  try {
    reply = { number, kind: 'done', figures: await perform(task) };
  } catch (error) {
    reply = { number, kind: 'failed', why: messageOf(error) };
  }
  process.send?.(reply);
}
