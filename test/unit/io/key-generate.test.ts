import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createPrivateKey, createPublicKey, getDiffieHellman } from 'node:crypto';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { generateKeys } from '../../../src/io/key-generate.ts';
import { decodeBase64, encodeBase64 } from '../../../src/wire/i2p/base64.ts';
import { parseDestination, parsePrivateKeys } from '../../../src/wire/i2p/destination.ts';

/** PKCS #8 wrapping of a raw Ed25519 seed (RFC 8410). */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');

test('has the layout of an I2P destination with its private keys', () => {
  for (let round = 0; round < 5; round += 1) {
    const keys = generateKeys();
    const blob = decodeBase64(keys.blob.reveal());
    assert.equal(blob.length, 391 + 256 + 32);
    assert.equal(blob.subarray(384, 391).toString('hex'), '05000400070000');
    assert.equal(parseDestination(encodeBase64(blob.subarray(0, 391))).b32, keys.destination.b32);
    assert.equal(parsePrivateKeys(keys.blob.reveal()).destination.base64, keys.destination.base64);
  }
});

test('the public keys belong to the private ones', () => {
  const blob = decodeBase64(generateKeys().blob.reveal());
  const group = getDiffieHellman('modp14');
  const prime = BigInt(`0x${group.getPrime('hex')}`);
  const secret = BigInt(`0x${blob.subarray(391, 391 + 256).toString('hex')}`);
  assert.equal(BigInt(`0x${blob.subarray(0, 256).toString('hex')}`), power(2n, secret, prime));

  const seed = blob.subarray(391 + 256);
  const signing = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed]), format: 'der', type: 'pkcs8' });
  const derived = createPublicKey(signing).export({ format: 'jwk' }).x;
  assert.equal(blob.subarray(352, 384).toString('base64url'), derived);
});

test('no two are alike, in no part', () => {
  const [one, other] = [generateKeys(), generateKeys()].map((keys) => decodeBase64(keys.blob.reveal()));
  assert.ok(one !== undefined && other !== undefined);
  for (const [from, to] of [
    [0, 256],
    [256, 352],
    [352, 384],
    [391, 647],
    [647, 679],
  ] as const) {
    assert.notDeepEqual(one.subarray(from, to), other.subarray(from, to));
  }
});

/** Enough for dozens of collections; with keys exported from key objects Node hung after 4,000 to 16,000. */
const MANY_KEYS = `
  const { generateSigningKeys } = await import(process.argv[1]);
  for (let count = 0; count < 20000; count += 1) generateSigningKeys();
  console.log('done');
`;

test('a garbage collection in the middle does not hang it', async () => {
  const module = new URL('../../../src/io/key-generate.ts', import.meta.url).href;
  const collecting = ['--gc-global', '--min-semi-space-size=1', '--max-semi-space-size=1'];
  const flags = [...collecting, '--import', 'tsx', '--input-type=module', '--eval', MANY_KEYS, module];
  const { stdout } = await promisify(execFile)(process.execPath, flags, { timeout: 60_000, killSignal: 'SIGKILL' });
  assert.equal(stdout, 'done\n');
});

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  let square = base;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}
