/** Who gets a datagram of a session that several use: by port, by correspondence, or nobody. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Attachments } from '../../../../src/core/datagram/attachments.ts';

interface User {
  readonly port: number;
  readonly name: string;
}

const named = (name: string) => (port: number) => ({ port, name });

test('the wanted port is given to the first who wants it, and then another one', () => {
  const users = new Attachments<User>();
  const first = users.add(4000, named('first'));
  const second = users.add(4000, named('second'));
  assert.equal(first.port, 4000);
  assert.notEqual(second.port, 4000);
  assert.notEqual(second.port, 0);
  users.remove(first);
  assert.equal(users.add(4000, named('third')).port, 4000);
});

test('when every port is taken, the next one is refused and takes nobody the port', () => {
  const users = new Attachments<User>();
  const all = Array.from({ length: 65_536 - 49_152 }, () => users.add(0, named('one')));
  assert.throws(() => users.add(0, named('one too many')), { kind: 'limit', code: 'session.no-port' });
  const last = all.at(-1) ?? assert.fail();
  assert.deepEqual([last.port, users.receiver('x', last.port)], [65_535, last]);
});

test('a port decides, even where another user has written to the sender', () => {
  const users = new Attachments<User>();
  const first = users.add(1, named('first'));
  const second = users.add(2, named('second'));
  users.sent(first, 'x');
  assert.equal(users.receiver('x', 2), second);
  assert.equal(users.receiver('x', 3), 'nobody');
});

test('without a port the last who wrote to the sender gets it, a stranger reaches only one who is alone', () => {
  const users = new Attachments<User>();
  assert.equal(users.receiver('x', 0), 'nobody');
  const first = users.add(0, named('first'));
  assert.equal(users.receiver('x', 0), first);
  const second = users.add(0, named('second'));
  assert.equal(users.receiver('x', 0), 'ambiguous');
  users.sent(first, 'x');
  assert.equal(users.receiver('x', 0), first);
  users.sent(second, 'x');
  assert.equal(users.receiver('x', 0), second);
  users.remove(second);
  assert.equal(users.receiver('x', 0), first, 'the only one there is');
});

test('who was written to longest ago is forgotten, so that nobody fills the memory', () => {
  const users = new Attachments<User>();
  const first = users.add(0, named('first'));
  users.add(0, named('second'));
  for (let count = 0; count < 1024; count += 1) users.sent(first, String(count));
  assert.equal(users.receiver('0', 0), first);
  users.sent(first, 'one more');
  assert.equal(users.receiver('0', 0), 'ambiguous');
  assert.equal(users.receiver('1', 0), first);
});

test('no two have one port, whatever they want, and nobody who has left gets anything', () => {
  const step = fc.record({ leave: fc.boolean(), wanted: fc.constantFrom(0, 1, 2, 49_152, 49_153, 65_535) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const users = new Attachments<User>();
      const there: User[] = [];
      for (const { leave, wanted } of steps) {
        const [oldest] = there;
        if (leave && oldest !== undefined) {
          users.sent(oldest, 'x');
          users.remove(oldest);
          there.shift();
          assert.notEqual(users.receiver('x', 0), oldest);
          assert.notEqual(users.receiver('x', oldest.port), oldest);
        } else there.push(users.add(wanted, named('user')));
        assert.equal(new Set(there.map(({ port }) => port)).size, there.length);
        assert.equal(users.size, there.length);
        for (const user of there) assert.equal(users.receiver('y', user.port), user);
      }
    }),
  );
});
