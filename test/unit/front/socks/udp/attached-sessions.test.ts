import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attachment } from '../../../../../src/core/datagram/session.ts';
import { GATEWAY, type SessionKey } from '../../../../../src/core/session/key.ts';
import { AttachedSessions } from '../../../../../src/front/socks/udp/attached-sessions.ts';
import { GateError } from '../../../../../src/kit/errors.ts';

test('a session that has no port left is given back', () => {
  let held = 0;
  const lease = () => {
    held += 1;
    return {
      session: {
        attach: () => {
          throw new GateError('limit', 'session.no-port', 'no port');
        },
        open: () => {},
      },
      release: () => {
        held -= 1;
      },
    };
  };
  const attached = new AttachedSessions({ lease }, 0, () => {});
  assert.throws(() => attached.at(GATEWAY), { code: 'session.no-port' });
  assert.equal(held, 0);
});

test('an association has four sessions at most, and leaves the one that has been of no use for longest', () => {
  const held = new Set<string>();
  const key = (token: string): SessionKey => ({ kind: 'isolated', token });
  const attached = new AttachedSessions(
    {
      lease: (wanted) => {
        const token = wanted.kind === 'isolated' ? wanted.token : wanted.kind;
        held.add(token);
        const attachment: Attachment = {
          port: 0,
          attached: true,
          ready: async () => {},
          send: () => 'sent',
          detach: () => {},
        };
        return {
          session: { attach: () => attachment, open: () => {} },
          release: () => void held.delete(token),
        };
      },
    },
    0,
    () => {},
  );
  for (const token of ['a', 'b', 'c', 'd', 'a', 'e']) attached.at(key(token));
  assert.deepEqual([...held], ['a', 'c', 'd', 'e']);
  attached.leaveAll();
  assert.equal(held.size, 0);
});
