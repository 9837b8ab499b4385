import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { decodeConfig, defaultConfig } from '../../../src/config/decode.ts';
import { renderExample, renderReference } from '../../../src/config/render.ts';
import { configSchema } from '../../../src/config/schema.ts';
import { SYSTEM_PATHS } from '../../../src/io/paths.ts';

const EXAMPLE = renderExample(SYSTEM_PATHS);
const REFERENCE = renderReference(SYSTEM_PATHS);
/** The example with every setting switched on; its prose comments have a blank behind the #. */
const UNCOMMENTED = EXAMPLE.replaceAll(/^#(?=["[a-z])/gm, '');

function committed(path: string): string {
  return readFileSync(new URL(`../../../docs/${path}`, import.meta.url), 'utf8');
}

test('the committed files are up to date (npm run generate)', () => {
  assert.equal(committed('examples/garligate.toml'), EXAMPLE);
  assert.equal(committed('config.md'), REFERENCE);
});

test('the example as it is changes nothing', () => {
  assert.deepEqual(decodeConfig(EXAMPLE, SYSTEM_PATHS), { kind: 'config', config: defaultConfig(SYSTEM_PATHS) });
});

test('the values in the example are the defaults, but for its peer and its alias', () => {
  const decoded = decodeConfig(UNCOMMENTED, SYSTEM_PATHS);
  assert.equal(decoded.kind, 'config', JSON.stringify(decoded));
  if (decoded.kind !== 'config') return;
  assert.equal(decoded.config.peer[0]?.name, 'alice');
  assert.deepEqual(Object.keys(decoded.config.names), ['forum.i2p']);
  assert.deepEqual(Object.keys(decoded.config.identities), ['mail']);
  assert.deepEqual({ ...decoded.config, peer: [], names: {}, identities: {} }, defaultConfig(SYSTEM_PATHS));
});

test('example and reference name every key, and every key is explained', () => {
  const keys = keysOf(configSchema(SYSTEM_PATHS));
  assert.ok(keys.length > 40);
  for (const { name, path, description } of keys) {
    assert.match(EXAMPLE, new RegExp(`\\b${name}\\b`), path);
    assert.match(REFERENCE, new RegExp(`\\b${name}\\b`), path);
    assert.ok((description ?? '') !== '', path);
  }
});

test('the reference says of every key what a correct value is', () => {
  const empty = REFERENCE.split('\n').filter((row) => /^(\|[^|]*){2}\|\s*\|/.test(row));
  assert.deepEqual(empty, []);
});

function keysOf(schema: z.core.$ZodType, path = ''): Array<{ name: string; path: string; description?: string }> {
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) return keysOf(schema.unwrap(), path);
  if (schema instanceof z.ZodRecord) return keysOf(schema.valueType, path);
  if (schema instanceof z.ZodArray) return keysOf(schema.element, path);
  if (!(schema instanceof z.ZodObject)) return [];
  return Object.entries(schema.shape).flatMap(([name, inner]) => {
    const { description } = z.globalRegistry.get(inner) ?? {};
    const here = { name, path: `${path}.${name}`, ...(description === undefined ? {} : { description }) };
    return [here, ...keysOf(inner, here.path)];
  });
}
