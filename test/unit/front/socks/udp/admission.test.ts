/** Access lists against datagrams: neither an address nor a datagram from outside is a way around them, and answers pass. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createPeerTable } from '../../../../../src/core/peers/table.ts';
import { createAccess } from '../../../../../src/front/socks/access.ts';
import { parseHostRule } from '../../../../../src/wire/access/rules.ts';
import { addressesOf, formatAddress } from '../../../../../src/wire/i2p/address.ts';
import type { Destination } from '../../../../../src/wire/i2p/destination.ts';
import { parsePortRange } from '../../../../../src/wire/packet/port-range.ts';
import { parseUdpRequest } from '../../../../../src/wire/socks/datagram.ts';
import { udpHeader } from '../../../../helpers/udp-client.ts';
import { settle } from '../fakes.ts';
import { newDestination, peerSettings, setUp } from './fakes.ts';

interface Lists {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly ports?: readonly string[];
}

const ALL = { allow: [], deny: [] };
const nameOf = ({ b32 }: Destination) => `${b32}.b32.i2p`;
const addressOf = ({ b32 }: Destination) => addressesOf(b32).oc.toString('hex');

/** An association of a listener with these lists, whose client knows how to write and what it has heard. */
function client(lists: Lists, more: { readonly source?: 'address' | 'name'; readonly told?: Destination } = {}) {
  const { source = 'address', told } = more;
  const peer = newDestination();
  const rules = (texts: readonly string[] = []) => texts.map((text) => parseHostRule(text) ?? assert.fail(text));
  const ports = (lists.ports ?? []).map((text) => parsePortRange(text) ?? assert.fail(text));
  const access = createAccess(
    {
      clients: ALL,
      destinations: { allow: rules(lists.allow), deny: rules(lists.deny) },
      ports: { allow: ports, deny: [] },
    },
    createPeerTable([peerSettings(peer)], addressesOf(newDestination().b32)),
  );
  const setting = setUp({
    access,
    peer,
    settings: { rate: 1000, queueBytes: 10_000, source },
    ...(told === undefined
      ? {}
      : {
          meaningOf: () => ({ kind: 'destination', destination: told }),
          mappedName: () => ({ name: 'told.i2p', destination: told }),
        }),
  });
  const { association, toClient } = setting;
  return {
    ...setting,
    write: async (host: string, port = 7) => {
      association.fromClient(Buffer.concat([udpHeader(host, port), Buffer.from('x')]));
      await settle();
    },
    heard: () =>
      toClient.map((bytes) => {
        const parsed = parseUdpRequest(bytes);
        assert.ok(parsed.kind === 'datagram');
        return parsed.payload.toString();
      }),
  };
}

function site(names: Map<string, Destination>, name?: string): Destination {
  const one = newDestination();
  names.set(nameOf(one), one);
  if (name !== undefined) names.set(name, one);
  return one;
}

describe('a denied destination', () => {
  const denied = newDestination();
  const deny = [nameOf(denied)];

  test('is not heard, and so cannot be answered by its address', async () => {
    const { arrive, counts, heard, sent, write } = client({ deny });
    arrive(denied, 'hi', 5);
    assert.deepEqual([heard(), counts()], [[], { policyRefused: 1 }]);
    await write(addressOf(denied), 5);
    assert.deepEqual([sent, counts()], [[], { policyRefused: 1, unknownAddress: 1 }]);
  });

  test('is not reached by an address that was told for it', async () => {
    const { counts, sent, write } = client({ deny }, { told: denied });
    await write(addressOf(denied));
    assert.deepEqual([sent, counts()], [[], { policyRefused: 1 }]);
  });

  test('is not reached by another name, which may be asked for all the same', async () => {
    const { counts, names, sent, write } = client({ deny });
    names.set('other.i2p', denied);
    await write('other.i2p');
    assert.deepEqual([sent, counts()], [[], { policyRefused: 1 }]);
  });

  test('keeps nobody else away', async () => {
    const { arrive, counts, heard, names, sent, write } = client({ deny });
    const other = site(names);
    arrive(other, 'hi', 5);
    await write(addressOf(other), 5);
    assert.deepEqual([heard(), sent.map(({ to }) => to)], [['hi'], [other.b32]]);
    assert.deepEqual(counts(), { received: 1, sent: 1 });
  });

  test('is denied as an address too, where it is known by one alone', async () => {
    const stranger = newDestination();
    const { arrive, counts, write } = client({ deny: [formatAddress(addressesOf(stranger.b32).oc)] });
    arrive(stranger, 'hi', 5);
    await write(addressOf(stranger), 5);
    assert.equal(counts()['policyRefused'], 1);
  });
});

describe('where only some are allowed', () => {
  for (const [how, ruleFor, askedAs] of [
    ['its hash', nameOf, nameOf],
    ['its name', () => 'forum.i2p', () => 'forum.i2p'],
  ] as const) {
    for (const source of ['address', 'name'] as const) {
      test(`one that is allowed by ${how} is asked, answers, and is answered by its ${source}`, async () => {
        const forum = newDestination();
        const { arrive, counts, heard, names, sent, write } = client({ allow: [ruleFor(forum)] }, { source });
        names.set(nameOf(forum), forum);
        names.set('forum.i2p', forum);
        await write(askedAs(forum));
        arrive(forum, 'answer');
        await write(source === 'name' ? nameOf(forum) : addressOf(forum));
        assert.deepEqual([heard(), sent.map(({ to }) => to)], [['answer'], [forum.b32, forum.b32]]);
        assert.deepEqual(counts(), { sent: 2, received: 1 });
      });
    }
  }

  test('an address that was told in place of an allowed name is allowed, and so is its answer', async () => {
    const told = newDestination();
    const { arrive, counts, heard, sent, write } = client({ allow: ['told.i2p'] }, { told });
    await write(addressOf(told));
    arrive(told, 'answer');
    assert.deepEqual([heard(), sent.map(({ to }) => to)], [['answer'], [told.b32]]);
    assert.deepEqual(counts(), { sent: 1, received: 1 });
  });

  test('strangers are not heard, and cannot be written to', async () => {
    const { arrive, counts, heard, names, sent, write } = client({ allow: ['forum.i2p'] });
    const stranger = site(names);
    site(names, 'forum.i2p');
    arrive(stranger, 'hi', 5);
    await write(addressOf(stranger), 5);
    await write(nameOf(stranger), 5);
    assert.deepEqual([heard(), sent, counts()], [[], [], { policyRefused: 3 }]);
  });

  test('one that the client may have by its hash may write first, and be answered', async () => {
    const friend = newDestination();
    const { arrive, counts, sent, write } = client({ allow: [nameOf(friend)] });
    arrive(friend, 'hi', 5);
    await write(addressOf(friend), 5);
    assert.deepEqual([sent.map(({ to }) => to), counts()], [[friend.b32], { received: 1, sent: 1 }]);
  });
});

describe('where only some ports are allowed', () => {
  test('a stranger without a port is answered at 0, and asked at no other port', async () => {
    const { arrive, counts, names, sent, write } = client({ ports: ['53'] });
    const stranger = site(names);
    await write(addressOf(stranger), 0);
    arrive(stranger, 'hi');
    await write(addressOf(stranger), 0);
    await write(addressOf(stranger), 54);
    await write(nameOf(stranger), 53);
    await write(nameOf(stranger), 54);
    assert.deepEqual(
      sent.map(({ port }) => port),
      [0, 53],
    );
    assert.deepEqual(counts(), { policyRefused: 3, received: 1, sent: 2 });
  });

  test('port 0 of somebody who has not written is one that is not allowed', async () => {
    const { counts, names, write } = client({ ports: ['53'] });
    await write(nameOf(site(names)), 0);
    assert.deepEqual(counts(), { policyRefused: 1 });
  });
});

describe('a peer', () => {
  const answerOf = (setting: ReturnType<typeof client>) => {
    const [socket] = setting.vpn.bound;
    socket?.take(Buffer.from('answer'), { address: formatAddress(addressesOf(setting.peer.b32).oc), port: 53 });
  };

  test('that is allowed by its alias is asked by it, answers, and is answered', async () => {
    const setting = client({ allow: ['files.i2p'] });
    setting.names.set('files.i2p', setting.peer);
    await setting.write(addressOf(setting.peer));
    await setting.write('files.i2p');
    answerOf(setting);
    await setting.write(addressOf(setting.peer));
    assert.deepEqual(setting.heard(), ['answer']);
    assert.deepEqual(setting.counts(), { policyRefused: 1, sent: 2, received: 1 });
  });

  test('that is denied is neither written to nor heard', async () => {
    const setting = client({ deny: ['peer.peer.b32.i2p'] });
    // Our own address opens the way to the VPN.
    await setting.write(addressOf(setting.own));
    await setting.write(addressOf(setting.peer));
    answerOf(setting);
    assert.deepEqual([setting.heard(), setting.vpn.sent.length], [[], 1]);
    assert.deepEqual(setting.counts(), { sent: 1, policyRefused: 2 });
  });
});
