/** What the kernel says of a process; that rights are really gone is seen in test/net/privileges.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { currentRights, parseRights } from '../../../src/io/rights.ts';
import { GateError } from '../../../src/kit/errors.ts';

/** As proc(5) has it, with what counts. */
function status(
  fields: Partial<Record<'uid' | 'gid' | 'groups' | 'permitted' | 'effective' | 'news', string>> = {},
): string {
  const { uid = '999 999 999 999', gid = '995 995 995 995', groups = '' } = fields;
  const { permitted = '0'.repeat(16), effective = permitted, news = '1' } = fields;
  return [
    'Name:\tnode',
    `Uid:\t${uid.replaceAll(' ', '\t')}`,
    `Gid:\t${gid.replaceAll(' ', '\t')}`,
    `Groups:\t${groups} `,
    `CapPrm:\t${permitted}`,
    `CapEff:\t${effective}`,
    `NoNewPrivs:\t${news}`,
    '',
  ].join('\n');
}

const NET_ADMIN = '0000000000001000';

test('the rights of a process are those of all of its threads together', () => {
  const clean = { uid: 999, capabilities: [], noNewPrivileges: true, mixed: false };
  assert.deepEqual(parseRights([status(), status()]), clean);
  assert.deepEqual(parseRights([status(), status({ permitted: NET_ADMIN })]), {
    ...clean,
    capabilities: ['CAP_NET_ADMIN'],
  });
  assert.deepEqual(parseRights([status({ news: '0' }), status()]).noNewPrivileges, false);
});

test('a capability counts as soon as it is permitted, and also one that nobody here knows', () => {
  assert.deepEqual(parseRights([status({ permitted: '0000008000001400', effective: '0'.repeat(16) })]).capabilities, [
    'CAP_NET_BIND_SERVICE',
    'CAP_NET_ADMIN',
    'CAP_39',
  ]);
});

for (const [what, fields] of [
  ['another saved user', { uid: '999 999 0 999' }],
  ['another group', { gid: '995 0 995 995' }],
  ['a further group', { groups: '0' }],
] as const) {
  test(`a thread with ${what} is noticed`, () => {
    assert.equal(parseRights([status(), status(fields)]).mixed, true);
  });
}

test('a /proc that says nothing is an error, and this one says who we are', async () => {
  assert.throws(
    () => parseRights([]),
    (error) => error instanceof GateError && error.code === 'rights.unreadable',
  );
  assert.equal((await currentRights()).uid, process.geteuid?.());
});
