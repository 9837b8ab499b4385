/** A secret never gets into text by any of the ways in which values usually do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { format, inspect } from 'node:util';
import { serialize } from 'node:v8';
import { Sensitive } from '../../../src/kit/sensitive.ts';

const MARK = 'swordfish-7f3a';

const WAYS: Readonly<Record<string, (secret: Sensitive<unknown>) => string>> = {
  template: (secret) => `${secret}`,
  String: (secret) => String(secret),
  'plus a text': (secret) => ''.concat(String(secret), '!'),
  'join of an array': (secret) => [secret, secret].join(),
  toLocaleString: (secret: Sensitive<unknown>) => secret.toLocaleString(),
  JSON: (secret) => JSON.stringify(secret),
  'JSON inside an object': (secret) => JSON.stringify({ deep: [{ secret }] }),
  inspect: (secret) => inspect(secret),
  'inspect with everything on': (secret) => inspect({ secret }, { showHidden: true, depth: null, getters: true }),
  'inspect without custom': (secret) => inspect({ secret }, { customInspect: false, showHidden: true, depth: null }),
  '%s': (secret) => format('%s', secret),
  '%o': (secret) => format('%o', secret),
  '%O': (secret) => format('%O', { secret }),
  '%j': (secret) => format('%j', { secret }),
  '%d': (secret) => format('%d', secret),
  'a rest argument': (secret) => format('text', secret),
  'an error message': (secret) => inspect(new Error(`failed: ${secret}`, { cause: secret })),
  spread: (secret) => JSON.stringify({ ...secret }),
  'own properties': (secret) => JSON.stringify(Object.getOwnPropertyDescriptors(secret)),
  structuredClone: (secret) => inspect(structuredClone({ secret }), { showHidden: true }),
  serialize: (secret) => serialize({ secret }).toString('latin1'),
};

for (const [name, print] of Object.entries(WAYS)) {
  test(`is not printed by ${name}`, () => {
    for (const secret of [new Sensitive(MARK), new Sensitive({ password: MARK }), new Sensitive(Buffer.from(MARK))]) {
      const text = print(secret);
      assert.ok(!text.includes(MARK) && !text.includes(Buffer.from(MARK).toString('hex')), text);
      assert.ok(!text.includes(Buffer.from(MARK).toJSON().data.join(',')), text);
    }
  });
}

test('says that it is something sensitive, and gives it when asked on purpose', () => {
  const secret = new Sensitive(MARK);
  assert.equal(`${secret}`, '[sensitive]');
  assert.equal(JSON.stringify({ secret }), '{"secret":"[sensitive]"}');
  assert.equal(format('%s %o', secret, secret), '[sensitive] [sensitive]');
  assert.equal(secret.reveal(), MARK);
});
