/** What a cell of the documentation names as proof: tests, by their file and their whole title. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { titlesIn } from './titles.ts';

const ROOT = join(import.meta.dirname, '../..');

export function readDocument(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

/** Every test that the cell names must exist; and it must name some. */
export function assertShown(cell: string): void {
  for (const part of cell.split('<br>')) {
    const [, file, title] = /^`(test\/[\w/.-]+\.ts)`: (.+)$/.exec(part) ?? [];
    assert.ok(file !== undefined && title !== undefined, `not a file and a title: ${part}`);
    assert.ok(existsSync(join(ROOT, file)), `${file} does not exist`);
    assert.ok(titlesIn(readDocument(file)).has(title), `${file} has no test "${title}"`);
  }
}
