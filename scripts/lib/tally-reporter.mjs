/**
 * A reporter for node:test that writes one line of JSON for each thing that happens to a test, so that the runner can count
 * without reading the text that is meant for people, and can tell what a file was doing when it had to be ended. It writes to a file named after its process: a test may run Node
 * again with the same flags, and that is not to be counted.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';

/** Names the folder for the files. */
export const TALLY_FOLDER = 'GARLIGATE_TEST_TALLY';

/**
 * @typedef {{ kind: 'started', name: string }
 *   | { kind: 'ended', name: string, suite: boolean, result: 'passed' | 'failed' | 'skipped', message: string }
 *   | { kind: 'complete' }} TallyLine
 */

/** @param {AsyncIterable<{ type: string, data: any }>} events */
// biome-ignore lint/correctness/useYield: what it would yield is meant for the file alone
export default async function* createTally(events) {
  for await (const { type, data } of events) {
    if (type === 'test:dequeue') write({ kind: 'started', name: data.name });
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const result = isSet(data.skip) || isSet(data.todo) ? 'skipped' : type === 'test:pass' ? 'passed' : 'failed';
    const error = data.details?.error;
    const message = String(error?.cause?.message ?? error?.message ?? '');
    write({ kind: 'ended', name: data.name, suite: data.details?.type === 'suite', result, message });
  }
  write({ kind: 'complete' });
}

/**
 * A reason, possibly empty, or true.
 * @param {unknown} mark
 */
function isSet(mark) {
  return mark !== undefined && mark !== false;
}

/** @param {TallyLine} line */
function write(line) {
  const folder = process.env[TALLY_FOLDER];
  if (folder !== undefined) appendFileSync(join(folder, String(process.pid)), `${JSON.stringify(line)}\n`);
}
