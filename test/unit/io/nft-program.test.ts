/** What nft says is held only up to a bound: here it is a program that says more. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '../../../src/io/clock.ts';
import { findNft } from '../../../src/io/nft-program.ts';

/** A pipe of Linux holds so much, and no read gives more. */
const LARGEST_CHUNK = 64 * 1024;
let root = '';

before(() => {
  root = mkdtempSync(join(tmpdir(), 'garligate-nft-'));
});
after(() => rmSync(root, { recursive: true }));

test('of what nft prints 16 MiB are held', async () => {
  writeFileSync(join(root, 'nft'), '#!/bin/sh\nhead -c 40000000 /dev/zero | tr "\\0" x\n', { mode: 0o755 });
  const nft = (await findNft(root, systemClock)) ?? assert.fail('no nft');
  const { length } = await nft([]);
  assert.ok(length >= 16 * 1024 * 1024 && length < 16 * 1024 * 1024 + LARGEST_CHUNK, String(length));
});
