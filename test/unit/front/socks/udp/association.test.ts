/** One association, its refusals above all: each datagram is sent, handed over, or counted by the reason why not. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { GATEWAY, type SessionKey } from '../../../../../src/core/session/key.ts';
import { GateError } from '../../../../../src/kit/errors.ts';
import { addressesOf, formatAddress, shortNameOf } from '../../../../../src/wire/i2p/address.ts';
import { parseB32 } from '../../../../../src/wire/i2p/destination.ts';
import { parseUdpRequest } from '../../../../../src/wire/socks/datagram.ts';
import { udpHeader } from '../../../../helpers/udp-client.ts';
import { accessWith, settle } from '../fakes.ts';
import { newDestination, setUp } from './fakes.ts';

const hexOf = (b32: ReturnType<typeof newDestination>['b32']) => addressesOf(b32).oc.toString('hex');
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const datagram = (host: string, port: number, text: string) =>
  Buffer.concat([udpHeader(host, port), Buffer.from(text)]);

/** Whom nobody has keys of: they take long to make. */
function stranger(number: number) {
  const letters = [...number.toString(32).padStart(16, '0')].map((digit) => BASE32[Number.parseInt(digit, 32)]);
  return { base64: '', b32: parseB32(`${letters.join('')}${'a'.repeat(36)}`) };
}

function shown(bytes: Buffer | undefined) {
  const parsed = parseUdpRequest(bytes ?? assert.fail('the client got nothing'));
  assert.ok(parsed.kind === 'datagram');
  const host = parsed.host.kind === 'name' ? parsed.host.name : parsed.host.bytes.toString('hex');
  return { host, port: parsed.port, text: parsed.payload.toString() };
}

describe('what a client sends', () => {
  test('goes to a name, a b32 name and a whole destination', async () => {
    const { association, counts, names, sent } = setUp();
    const one = newDestination();
    names.set('x.i2p', one);
    names.set(`${one.b32}.b32.i2p`, one);
    association.fromClient(datagram('X.I2P.', 53, '1'));
    association.fromClient(datagram(`${one.b32}.b32.i2p`, 54, '2'));
    await settle();
    association.fromClient(datagram('x.i2p', 53, '3'));
    assert.deepEqual(
      sent.map(({ to, port, payload }) => [to, port, payload]),
      [
        [one.b32, 53, '1'],
        [one.b32, 54, '2'],
        [one.b32, 53, '3'],
      ],
    );
    assert.deepEqual(counts(), { sent: 3 });
  });

  const refused: ReadonlyArray<readonly [name: string, bytes: Buffer, counts: Readonly<Record<string, number>>]> = [
    ['a fragment', Buffer.concat([Buffer.of(0, 0, 1, 1), Buffer.alloc(7)]), { fragment: 1 }],
    ['nothing', Buffer.alloc(0), { malformed: 1 }],
    ['half a header', udpHeader('x.i2p', 1).subarray(0, 6), { malformed: 1 }],
    ['no payload', udpHeader('x.i2p', 1), { empty: 1 }],
    ['an IPv4 address', datagram('10.0.0.1', 53, 'x'), { policyRefused: 1, dnsLeak: 1 }],
    ['another IPv6 address', datagram(`fd${'0'.repeat(29)}1`, 53, 'x'), { policyRefused: 1, dnsLeak: 1 }],
    ['a name outside I2P', datagram('example.com', 53, 'x'), { policyRefused: 1 }],
    ['no valid name', datagram('a b.i2p', 53, 'x'), { policyRefused: 1 }],
    ['an unknown name', datagram('unknown.i2p', 53, 'x'), { nameFailed: 1 }],
    ['an address of nobody', datagram(`fd60db4dddb5${'0'.repeat(19)}1`, 53, 'x'), { unknownAddress: 1 }],
  ];
  for (const [name, bytes, wanted] of refused) {
    test(`is dropped and counted when it is or is for ${name}`, async () => {
      const { association, counts, sent } = setUp();
      association.fromClient(bytes);
      await settle();
      assert.deepEqual(counts(), wanted);
      assert.deepEqual(sent, []);
    });
  }

  test('is dropped when a name turns out to be what the client may not have', async () => {
    const denied = newDestination();
    const deny = [{ kind: 'b32', b32: denied.b32 }] as const;
    const { association, counts, names, sent } = setUp({ access: accessWith({ destinations: { allow: [], deny } }) });
    names.set('denied.i2p', denied);
    names.set('allowed.i2p', newDestination());
    association.fromClient(datagram('denied.i2p', 1, 'x'));
    association.fromClient(datagram('allowed.i2p', 1, 'x'));
    await settle();
    assert.deepEqual(counts(), { policyRefused: 1, sent: 1 });
    assert.equal(sent.length, 1);
  });

  test('is limited in a second, and may go on in the next', async () => {
    const { association, clock, counts, names } = setUp({ rate: 5 });
    names.set('x.i2p', newDestination());
    association.fromClient(datagram('x.i2p', 1, 'x'));
    await settle();
    for (let count = 0; count < 10; count += 1) association.fromClient(datagram('x.i2p', 1, 'x'));
    assert.deepEqual(counts(), { sent: 5, rate: 6 });
    await clock.advance(1000);
    for (let count = 0; count < 10; count += 1) association.fromClient(datagram('x.i2p', 1, 'x'));
    assert.deepEqual(counts(), { sent: 10, rate: 11 });
  });

  /** As long as their name is looked up, or for `waitMs` of that, and what then becomes of each that waits. */
  async function waiting(bytes: readonly Buffer[], waitMs = 0) {
    const { association, clock, counts, names, sent, state } = setUp();
    names.set('x.i2p', newDestination());
    let answer: () => void = () => {};
    state.answered = new Promise((resolve) => {
      answer = resolve;
    });
    for (const one of bytes) association.fromClient(one);
    await clock.advance(waitMs);
    answer();
    await settle();
    return { counts: counts(), sent: sent.map(({ payload }) => payload) };
  }

  test('waits for its name among 32 at most', async () => {
    const texts = Array.from({ length: 34 }, (_, index) => `${index}`);
    const { counts, sent } = await waiting(texts.map((text) => datagram('x.i2p', 1, text)));
    assert.deepEqual(sent, texts.slice(2));
    assert.deepEqual(counts, { queueFull: 2, sent: 32 });
  });

  test('waits for its name within udp_queue', async () => {
    const texts = ['a', 'b', 'c', 'd', 'e'].map((letter) => letter.repeat(2_500));
    const { counts, sent } = await waiting(texts.map((text) => datagram('x.i2p', 1, text)));
    assert.deepEqual(sent, texts.slice(1), 'the settings allow 10,000 bytes');
    assert.deepEqual(counts, { queueFull: 1, sent: 4 });
  });

  test('waits for its name for a minute', async () => {
    const one = [datagram('x.i2p', 1, 'x')];
    assert.deepEqual((await waiting(one, 60_000)).counts, { sent: 1 });
    assert.deepEqual((await waiting(one, 60_001)).counts, { queueFull: 1 });
  });

  test('waits for sixteen names at a time', async () => {
    const ports = Array.from({ length: 18 }, (_, index) => index + 1);
    const { counts, sent } = await waiting(ports.map((port) => datagram('x.i2p', port, `${port}`)));
    assert.deepEqual(sent, ports.slice(0, 16).map(String));
    assert.deepEqual(counts, { queueFull: 2, sent: 16 });
  });

  test('goes by a route that is remembered of 1024 targets, of which the oldest is forgotten', async () => {
    let found: number[] = [];
    const { association, names } = setUp({
      rate: 10_000,
      sessionFor: (_, port) => {
        found.push(port);
        return GATEWAY;
      },
    });
    names.set('x.i2p', newDestination());
    const targets = Array.from({ length: 1024 }, (_, index) => index + 1);
    const lookedFor = async (...ports: readonly number[]) => {
      found = [];
      for (const port of ports) {
        association.fromClient(datagram('x.i2p', port, 'x'));
        await settle();
      }
      return found;
    };
    assert.deepEqual(await lookedFor(...targets), targets);
    assert.deepEqual(await lookedFor(...targets), []);
    assert.deepEqual(await lookedFor(1025, 2, 1), [1025, 1]);
  });

  for (const [outcome, counter] of [
    ['too-large', 'oversize'],
    ['busy', 'busy'],
    ['not-ready', 'noSession'],
  ] as const) {
    test(`that the session answers with ${outcome} is counted as ${counter}`, async () => {
      const { association, counts, names, state } = setUp();
      names.set('x.i2p', newDestination());
      state.outcome = outcome;
      association.fromClient(datagram('x.i2p', 1, 'x'));
      await settle();
      assert.deepEqual(counts(), { [counter]: 1 });
    });
  }

  test('waits for a session that is not there, up to a limit, and is counted when there is none', async () => {
    const { association, counts, names, state } = setUp();
    names.set('x.i2p', newDestination());
    state.ready = false;
    association.fromClient(datagram('x.i2p', 1, 'x'));
    await settle();
    assert.deepEqual(counts(), { noSession: 1 });
    state.ready = true;
    association.fromClient(datagram('x.i2p', 1, 'x'));
    await settle();
    assert.deepEqual(counts(), { noSession: 1, sent: 1 });
  });

  test('has the session of its target where targets are kept apart, of which there may be none', async () => {
    const keys: SessionKey[] = [];
    const { association, counts, names, sent, state } = setUp({
      oneSession: false,
      sessionFor: (target, port) => {
        const key = { kind: 'isolated', token: `${target?.kind} ${port}` } as const;
        keys.push(key);
        return key;
      },
    });
    assert.equal(state.leases, 0, 'no session before there is a target');
    names.set('x.i2p', newDestination());
    association.fromClient(datagram('x.i2p', 1, 'x'));
    association.fromClient(datagram('x.i2p', 2, 'x'));
    await settle();
    assert.deepEqual(
      sent.map(({ key }) => key),
      keys,
    );
    assert.equal(state.leases, 2);
    state.refuse = true;
    association.fromClient(datagram('x.i2p', 3, 'x'));
    await settle();
    assert.deepEqual(counts(), { sent: 2, noSession: 1 });
    association.close();
    assert.equal(state.leases, 0);
  });
});

describe('what comes for a client', () => {
  test('shows an address that reaches its very source', async () => {
    const { association, arrive, counts, sent, toClient } = setUp();
    const sender = newDestination();
    arrive(sender, 'hello', 4001);
    assert.deepEqual(shown(toClient[0]), { host: hexOf(sender.b32), port: 4001, text: 'hello' });
    association.fromClient(datagram(hexOf(sender.b32), 4001, 'by address'));
    association.fromClient(datagram(`${shortNameOf(addressesOf(sender.b32).oc)}.oc.b32.i2p`, 7, 'by short name'));
    association.fromClient(datagram(formatAddress(addressesOf(sender.b32).oc), 8, 'by text'));
    await settle();
    assert.deepEqual(
      sent.map(({ to, port, payload }) => [to, port, payload]),
      [
        [sender.b32, 4001, 'by address'],
        [sender.b32, 7, 'by short name'],
        [sender.b32, 8, 'by text'],
      ],
    );
    assert.deepEqual(counts(), { received: 1, sent: 3 });
  });

  test('without a port shows the one that the client wrote to, or 0', async () => {
    const { association, arrive, names, toClient } = setUp();
    const sender = newDestination();
    names.set('x.i2p', sender);
    arrive(sender, '1');
    association.fromClient(datagram('x.i2p', 53, 'x'));
    await settle();
    arrive(sender, '2');
    arrive(sender, '3', 99);
    assert.deepEqual(
      toClient.map((bytes) => shown(bytes).port),
      [0, 53, 99],
    );
  });

  test('shows a name where the listener is set to it, which reaches its source too', async () => {
    const { association, arrive, names, sent, toClient } = setUp({
      settings: { rate: 10, queueBytes: 1000, source: 'name' },
    });
    const sender = newDestination();
    names.set(`${sender.b32}.b32.i2p`, sender);
    arrive(sender, 'hello', 5);
    const { host, port } = shown(toClient[0]);
    assert.equal(host, `${sender.b32}.b32.i2p`);
    association.fromClient(datagram(host, port, 'back'));
    await settle();
    assert.equal(sent[0]?.to, sender.b32);
  });

  test('is answered over the session that it came by', async () => {
    const key = (port: number) => ({ kind: 'isolated', token: String(port) }) as const;
    const { association, arrive, names, sent } = setUp({ oneSession: false, sessionFor: (_, port) => key(port) });
    const [one, sender] = [newDestination(), newDestination()];
    names.set('x.i2p', one);
    association.fromClient(datagram('x.i2p', 1, 'x'));
    await settle();
    arrive(sender, 'hello', 77, key(1));
    association.fromClient(datagram(hexOf(sender.b32), 77, 'back'));
    await settle();
    assert.deepEqual(sent.at(-1), { key: key(1), to: sender.b32, port: 77, payload: 'back' });
  });

  test('can be answered while no more than 1024 are remembered, and strangers make room for one another', async () => {
    const { association, arrive, counts, names, sent } = setUp({ rate: 10_000 });
    const asked = newDestination();
    names.set('asked.i2p', asked);
    association.fromClient(datagram('asked.i2p', 1, 'x'));
    await settle();
    const strangers = Array.from({ length: 1024 }, (_, index) => stranger(index));
    const [first, second, ...others] = strangers;
    assert.ok(first !== undefined && second !== undefined);
    const answer = async ({ b32 }: typeof first) => {
      association.fromClient(datagram(hexOf(b32), 2, 'x'));
      await settle();
      return sent.at(-1)?.to === b32 && sent.at(-1)?.port === 2;
    };
    for (const one of [second, ...others]) arrive(one, 'x');
    assert.deepEqual(counts(), { received: 1023, sent: 1 });
    arrive(first, 'x');
    assert.deepEqual(
      [await answer(second), counts()['unknownAddress']],
      [false, 1],
      'the oldest stranger is forgotten',
    );
    assert.deepEqual([await answer(others[0] ?? first), await answer(first), await answer(asked)], [true, true, true]);
  });

  test('from the destination of a peer is refused: its address belongs to the VPN', () => {
    const { arrive, counts, peer, own, toClient } = setUp();
    arrive(peer, 'x');
    arrive(own, 'x');
    assert.deepEqual(counts(), { lookalike: 2 });
    assert.deepEqual(toClient, []);
  });

  for (const outcome of ['clientUnknown', 'busy'] as const) {
    test(`is counted when it cannot be handed over: ${outcome}`, () => {
      const { arrive, counts } = setUp({ toClient: () => outcome });
      arrive(newDestination(), 'x');
      assert.deepEqual(counts(), { [outcome]: 1 });
    });
  }
});

test('a defect is told, where a name that nobody knows is only counted', async () => {
  const { association, counts, defects } = setUp();
  association.fromClient(datagram('unknown.i2p', 7, 'x'));
  await settle();
  assert.deepEqual(defects, []);
  association.fromClient(datagram('defect.i2p', 7, 'x'));
  await settle();
  assert.deepEqual(counts(), { nameFailed: 2 });
  assert.match(defects[0] ?? '', /a defect: looking a name up/);
});

test('an answer that comes when the association is closed takes nothing any more', async () => {
  for (const isPeer of [false, true]) {
    const setting = setUp();
    const { association, names, peer, state, vpn } = setting;
    names.set('slow.i2p', isPeer ? peer : newDestination());
    association.fromClient(datagram('slow.i2p', 7, 'x'));
    association.close();
    await settle();
    assert.deepEqual([state.leases, vpn.bound.size], [0, 0]);
  }
});

describe('peers', () => {
  test('are reached through the TUN, from our own address, by every name that they have', async () => {
    const { association, counts, own, peer, sent, toClient, vpn } = setUp();
    const { oc, ocat4 } = addressesOf(peer.b32);
    for (const host of [oc.toString('hex'), ocat4.toString('hex'), `${peer.b32}.b32.i2p`, 'peer.peer.b32.i2p']) {
      association.fromClient(datagram(host, 53, host));
    }
    await settle();
    const there = vpn.sent.map(({ bytes, to }) => [bytes.toString(), to?.address, to?.port]);
    assert.deepEqual(there, [
      [oc.toString('hex'), formatAddress(oc), 53],
      [ocat4.toString('hex'), formatAddress(ocat4), 53],
      [`${peer.b32}.b32.i2p`, formatAddress(oc), 53],
      ['peer.peer.b32.i2p', formatAddress(oc), 53],
    ]);
    assert.equal(vpn.bound.size, 1);
    assert.deepEqual(sent, []);
    const [bound] = vpn.bound;
    assert.deepEqual(bound?.local, { address: formatAddress(addressesOf(own.b32).oc), port: 0 });
    bound?.take(Buffer.from('answer'), { address: formatAddress(oc), port: 53 });
    // This machine can write from other addresses, which are nobody's.
    bound?.take(Buffer.from('forged'), { address: '2001:db8::1', port: 53 });
    assert.equal(toClient.length, 1);
    assert.deepEqual(shown(toClient[0]), { host: oc.toString('hex'), port: 53, text: 'answer' });
    assert.equal(counts()['received'], 1);
    association.close();
    await settle();
    assert.equal(vpn.bound.size, 0);
  });

  test('what the kernel does not take for them is counted', async () => {
    const { association, counts, peer, vpn } = setUp();
    association.fromClient(datagram(hexOf(peer.b32), 53, 'taken'));
    await settle();
    vpn.full = true;
    association.fromClient(datagram(hexOf(peer.b32), 53, 'one too many'));
    await settle();
    assert.deepEqual(counts(), { sent: 1, busy: 1 });
    vpn.full = false;
    const [bound] = vpn.bound;
    bound?.fail(new GateError('local-io', 'udp.failed', 'no route'));
    assert.deepEqual(counts(), { sent: 1, busy: 1, kernelRefused: 1 });
  });

  test('are asked from the address that an OnionCat answers to, where they are one', async () => {
    const setting = setUp({ isOnionCat: true });
    const { ocat4 } = addressesOf(setting.own.b32);
    setting.association.fromClient(datagram('peer.peer.b32.i2p', 53, 'x'));
    await settle();
    assert.deepEqual(
      [...setting.vpn.bound].map(({ local }) => local.address),
      [formatAddress(ocat4)],
    );
    assert.deepEqual(setting.counts(), { sent: 1 });
  });

  test('have no port 0, and what goes there is counted', async () => {
    const { association, counts, own, peer, vpn } = setUp();
    for (const host of [hexOf(peer.b32), hexOf(own.b32), 'peer.peer.b32.i2p']) {
      for (let time = 0; time < 2; time += 1) {
        association.fromClient(datagram(host, 0, 'x'));
        await settle();
      }
    }
    assert.deepEqual(counts(), { unknownAddress: 6 });
    assert.deepEqual([vpn.sent.length, vpn.bound.size], [0, 0]);
  });

  test('are out of reach without a TUN, and that is counted', async () => {
    const { association, counts, peer } = setUp({ withTun: false });
    association.fromClient(datagram(hexOf(peer.b32), 53, 'x'));
    association.fromClient(datagram(`${peer.b32}.b32.i2p`, 53, 'x'));
    await settle();
    assert.deepEqual(counts(), { needsTun: 2 });
  });
});

test('every datagram is counted exactly once, whatever its bytes', async () => {
  const { association, counts } = setUp({ rate: 1_000_000 });
  let pushed = 0;
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, isName) => {
      const head = isName ? Buffer.of(0, 0, 0, 3) : Buffer.alloc(0);
      association.fromClient(Buffer.concat([head, bytes]));
      pushed += 1;
    }),
  );
  await settle();
  const { dnsLeak: _, ...causes } = counts();
  assert.equal(
    Object.values<number>(causes).reduce((sum, count) => sum + count, 0),
    pushed,
  );
});
