/** Addresses in place of names: which ones are told, what they stand for, and to whom. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAddressNames } from '../../../../src/core/naming/addresses.ts';
import { createPeerTable } from '../../../../src/core/peers/table.ts';
import { GATEWAY, type SessionKey } from '../../../../src/core/session/key.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { addressesOf, addressKey, addressOfShortName } from '../../../../src/wire/i2p/address.ts';
import { type B32, type Destination, parseB32 } from '../../../../src/wire/i2p/destination.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { destination } from '../support.ts';

const NEVER = new AbortController().signal;
const [OWN, PEER, SERVICE] = [destination(1), destination(2), destination(3)];
const ISOLATED: SessionKey = { kind: 'isolated', token: 'x' };
const HOUR = 60 * 60_000;

/** Another hash with the same 80 bits in front. */
function lookAlike(b32: B32): Destination {
  const last = b32.charAt(20) === 'a' ? 'b' : 'a';
  return { base64: 'A'.repeat(516), b32: parseB32(`${b32.slice(0, 20)}${last}${b32.slice(21)}`) };
}

function setting(known: Readonly<Record<string, Destination>> = { 'service.i2p': SERVICE }) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const names = createAddressNames({
    resolver: {
      resolve: async (host) => {
        asked.push(host);
        const found = known[host];
        if (found === undefined) throw new GateError('name-unknown', 'test', 'of the test');
        return found;
      },
    },
    peers: createPeerTable(
      [
        {
          name: 'Anna',
          b32: PEER.b32,
          destination: undefined,
          connect: 'always',
          onionCat: undefined,
          routes: [],
          allow: [],
        },
      ],
      addressesOf(OWN.b32),
    ),
    own: OWN.b32,
    clock,
  });
  return { clock, names, asked };
}

const told = (b32: B32) => addressesOf(b32).oc;
const atAddress = (b32: B32) => ({ kind: 'address', address: told(b32) }) as const;

test('a name becomes the oc address of what the router knows, and back, and is dialled by the whole destination', async () => {
  const { names } = setting();
  const address = await names.addressOf({ kind: 'host', host: 'service.i2p' }, GATEWAY, NEVER);
  assert.deepEqual(address, told(SERVICE.b32));
  assert.equal(names.nameOf(address, GATEWAY), 'service.i2p');
  assert.deepEqual(names.meaningOf({ kind: 'address', address }, GATEWAY), {
    kind: 'destination',
    destination: SERVICE,
  });
});

test('a b32 name becomes an address without anybody being asked, and is dialled by its whole hash', async () => {
  const { names, asked } = setting();
  const address = await names.addressOf({ kind: 'b32', b32: SERVICE.b32 }, GATEWAY, NEVER);
  assert.deepEqual(address, told(SERVICE.b32));
  assert.equal(names.nameOf(address, GATEWAY), `${SERVICE.b32}.b32.i2p`);
  assert.deepEqual(names.meaningOf({ kind: 'address', address }, GATEWAY), { kind: 'b32', b32: SERVICE.b32 });
  assert.deepEqual(asked, []);
});

test('a peer and the gateway itself are known in every way, and their addresses stay addresses', async () => {
  const { names } = setting({ 'anna.i2p': PEER });
  for (const target of [
    { kind: 'b32', b32: PEER.b32 },
    { kind: 'destination', destination: PEER },
    { kind: 'host', host: 'anna.i2p' },
    { kind: 'peer', name: 'anna' },
    atAddress(PEER.b32),
  ] as const) {
    assert.deepEqual(await names.addressOf(target, GATEWAY, NEVER), told(PEER.b32));
  }
  const { oc, ocat4 } = addressesOf(PEER.b32);
  for (const address of [oc, ocat4]) {
    assert.equal(names.nameOf(address, GATEWAY), `${PEER.b32}.b32.i2p`);
    assert.deepEqual(names.meaningOf({ kind: 'address', address }, GATEWAY), { kind: 'address', address });
  }
  for (const address of Object.values(addressesOf(OWN.b32))) {
    assert.equal(names.nameOf(address, GATEWAY), `${OWN.b32}.b32.i2p`);
  }
});

test('whoever goes out under another destination learns nothing of the gateway, and of peers only who may reach them', async () => {
  const { names } = setting();
  const WITH_CREDENTIALS: SessionKey = { kind: 'isolated', token: 'x', mayReachPeers: true };
  const told: ReadonlyArray<readonly [asker: SessionKey, gateway: boolean, peer: boolean]> = [
    [GATEWAY, true, true],
    [WITH_CREDENTIALS, false, true],
    [ISOLATED, false, false],
    [{ kind: 'named', name: 'mail' }, false, false],
  ];
  const policy = { kind: 'policy', code: 'naming.kept-apart' };
  for (const [asker, gateway, peer] of told) {
    for (const [who, isTold] of [
      [OWN.b32, gateway],
      [PEER.b32, peer],
    ] as const) {
      for (const address of Object.values(addressesOf(who))) {
        const target = { kind: 'address', address } as const;
        if (isTold) {
          assert.equal(names.nameOf(address, asker), `${who}.b32.i2p`);
          assert.equal((await names.identify(target, asker, NEVER)).b32, who);
        } else {
          assert.throws(() => names.nameOf(address, asker), policy);
          // The other address of the two would tell as much.
          await assert.rejects(names.addressOf(target, asker, NEVER), policy);
        }
      }
    }
    const byName = names.identify({ kind: 'peer', name: 'anna' }, asker, NEVER);
    if (peer) assert.equal((await byName).b32, PEER.b32);
    else await assert.rejects(byName, policy);
  }
});

test('an address that was told to nobody is nothing: no name, no other address, no meaning', async () => {
  const { names } = setting();
  const target = { kind: 'address', address: addressOfShortName('a'.repeat(16)) } as const;
  await assert.rejects(names.addressOf(target, GATEWAY, NEVER), { kind: 'peer-unreachable' });
  assert.throws(() => names.nameOf(target.address, GATEWAY), { kind: 'name-unknown' });
  assert.deepEqual(names.meaningOf(target, GATEWAY), target);
});

test('what one identity was told means nothing to another', async () => {
  const { names } = setting();
  const address = await names.addressOf({ kind: 'host', host: 'service.i2p' }, ISOLATED, NEVER);
  for (const asker of [GATEWAY, { kind: 'isolated', token: 'y' }, { kind: 'named', name: 'x' }] as const) {
    assert.throws(() => names.nameOf(address, asker), { kind: 'name-unknown' });
    assert.deepEqual(names.meaningOf({ kind: 'address', address }, asker), { kind: 'address', address });
    await assert.rejects(names.addressOf({ kind: 'address', address }, asker, NEVER), { kind: 'peer-unreachable' });
  }
  assert.equal(names.nameOf(address, ISOLATED), 'service.i2p');
});

test('80 bits identify nobody: a second destination with the same address is refused, whoever had it first', async () => {
  for (const first of [OWN, PEER, SERVICE]) {
    const { names } = setting({ 'first.i2p': first, 'second.i2p': lookAlike(first.b32) });
    await names.addressOf({ kind: 'host', host: 'first.i2p' }, GATEWAY, NEVER);
    await assert.rejects(names.addressOf({ kind: 'host', host: 'second.i2p' }, GATEWAY, NEVER), {
      code: 'naming.address-taken',
    });
  }
});

test('what was told is forgotten an hour after its last use', async () => {
  const { names, clock } = setting();
  const address = await names.addressOf({ kind: 'b32', b32: SERVICE.b32 }, GATEWAY, NEVER);
  await clock.advance(HOUR - 1);
  assert.equal(names.meaningOf({ kind: 'address', address }, GATEWAY).kind, 'b32');
  await clock.advance(HOUR - 1);
  assert.equal(names.meaningOf({ kind: 'address', address }, GATEWAY).kind, 'b32');
  await clock.advance(HOUR);
  assert.equal(names.meaningOf({ kind: 'address', address }, GATEWAY).kind, 'address');
});

/** With another address for each index. */
function numbered(index: number): Destination {
  const digits = [index >> 10, (index >> 5) & 31, index & 31].map((digit) => 'abcdefghijklmnopqrstuvwxyz234567'[digit]);
  return { base64: '', b32: parseB32(`${digits.join('')}${'a'.repeat(49)}`) };
}

test('of 128 addresses of one identity the one unused for longest is forgotten', () => {
  const { names } = setting();
  const tell = (index: number) => names.tell(`n${index}.i2p`, numbered(index), GATEWAY);
  const addresses = Array.from({ length: 128 }, (_, index) => tell(index));
  assert.equal(new Set(addresses.map((address) => addressKey(address))).size, 128);
  const [first, second] = addresses;
  assert.ok(first && second);
  assert.equal(names.nameOf(first, GATEWAY), 'n0.i2p');
  tell(5000);
  assert.equal(names.nameOf(first, GATEWAY), 'n0.i2p');
  assert.throws(() => names.nameOf(second, GATEWAY), { kind: 'name-unknown' });
});

test('however much one identity is told or asks about, another keeps what it was told', () => {
  const { names } = setting();
  const address = names.tell('service.i2p', SERVICE, ISOLATED);
  for (let index = 0; index < 10_000; index += 1) {
    names.tell(`n${index}.i2p`, numbered(index), GATEWAY);
    names.meaningOf({ kind: 'address', address }, { kind: 'isolated', token: `asks ${index}` });
  }
  assert.equal(names.nameOf(address, ISOLATED), 'service.i2p');
});

test('what was told to 64 identities is remembered, and of more to those that have used it last', () => {
  const { names } = setting();
  const asker = (index: number): SessionKey => ({ kind: 'isolated', token: String(index) });
  const address = names.tell('service.i2p', SERVICE, asker(0));
  for (let index = 1; index < 64; index += 1) names.tell('service.i2p', SERVICE, asker(index));
  assert.equal(names.nameOf(address, asker(0)), 'service.i2p');
  names.tell('service.i2p', SERVICE, asker(64));
  assert.equal(names.nameOf(address, asker(0)), 'service.i2p');
  assert.throws(() => names.nameOf(address, asker(1)), { kind: 'name-unknown' });
});

test('whom a client means is told with the whole hash, an address that was told included', async () => {
  const { names } = setting();
  const known = { b32: SERVICE.b32, base64: undefined };
  assert.deepEqual(await names.identify({ kind: 'host', host: 'service.i2p' }, GATEWAY, NEVER), SERVICE);
  assert.deepEqual(await names.identify({ kind: 'b32', b32: SERVICE.b32 }, GATEWAY, NEVER), known);
  await assert.rejects(names.identify(atAddress(SERVICE.b32), GATEWAY, NEVER), { kind: 'peer-unreachable' });
  names.tell('service.i2p', SERVICE, GATEWAY);
  assert.deepEqual(await names.identify(atAddress(SERVICE.b32), GATEWAY, NEVER), SERVICE);
  assert.equal((await names.identify(atAddress(PEER.b32), GATEWAY, NEVER)).b32, PEER.b32);
  assert.equal((await names.identify(atAddress(OWN.b32), GATEWAY, NEVER)).b32, OWN.b32);
});

test('an encrypted lease set has no address, and a name that nobody knows has none', async () => {
  const { names } = setting();
  const encrypted = { kind: 'b33', host: `${'a'.repeat(56)}.b32.i2p` } as const;
  await assert.rejects(names.addressOf(encrypted, GATEWAY, NEVER), { kind: 'name-unknown', code: 'naming.encrypted' });
  for (const target of [
    { kind: 'host', host: 'unknown.i2p' },
    { kind: 'peer', name: 'ben' },
  ] as const) {
    await assert.rejects(names.addressOf(target, GATEWAY, NEVER), { kind: 'name-unknown' });
  }
});
