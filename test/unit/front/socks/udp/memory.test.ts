/** What strangers cost who write to an association: the formula is that of docs/limits.md. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Correspondents } from '../../../../../src/front/socks/udp/correspondents.ts';
import { encodeBase64 } from '../../../../../src/wire/i2p/base64.ts';
import { parseDestination } from '../../../../../src/wire/i2p/destination.ts';
import { heldMemory } from '../../../../helpers/held-memory.ts';
import { attachment } from './fakes.ts';

const KIB = 1024;
const STRANGERS = 1024;
const KEYS_LENGTH = 384;
/** Type and length. */
const CERTIFICATE_HEADER = 3;
/** As an app makes them: Ed25519. */
const ORDINARY = 391;
/** Nobody's, but as long as one may be. */
const LONGEST = 4096;

/** In the base64 that a router sends. */
function destinationOf(length: number): string {
  const bytes = randomBytes(length);
  bytes.writeUInt8(5, KEYS_LENGTH);
  bytes.writeUInt16BE(length - KEYS_LENGTH - CERTIFICATE_HEADER, KEYS_LENGTH + 1);
  return encodeBase64(bytes);
}

for (const [what, length, most] of [
  ['an app', ORDINARY, 1.5 * KIB],
  ['the longest destination that there can be', LONGEST, 6 * KIB],
] as const) {
  test(`a stranger with the destination of ${what} costs ${most / KIB} KiB at most`, async () => {
    const via = attachment();
    const fill = (known: Correspondents) => {
      for (let count = 0; count < STRANGERS; count += 1) {
        known.recordReceived(parseDestination(destinationOf(length)), via);
      }
      return known;
    };
    // Once in vain, so that what the code itself needs is there.
    fill(new Correspondents(STRANGERS, () => false));
    const before = await heldMemory();
    const known = fill(new Correspondents(STRANGERS, () => false));
    const each = ((await heldMemory()) - before) / STRANGERS;
    assert.ok(each < most, `${Math.round(each)} bytes`);
    assert.ok(each > length, `${Math.round(each)} bytes are too few to be true`);
    assert.ok(known);
  });
}
