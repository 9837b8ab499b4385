/**
 * What leaves this machine for the VPN while a gateway starts, is killed half-started, and is gone: looked at from the first
 * moment on, with packets sent all the time, and by `garligate leak-test` afterwards.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { rmSync } from 'node:fs';
import { openCapture } from '../../src/io/capture.ts';
import { generateKeys } from '../../src/io/key-generate.ts';
import { addressesOf, formatAddress } from '../../src/wire/i2p/address.ts';
import { leakOf } from '../../src/wire/packet/leak.ts';
import { until } from '../helpers/until.ts';
import {
  assertNoProcessLeft,
  COMMAND,
  hasInterface,
  launch,
  MANY_STARTS_MS,
  makePlace,
  NO_ROUTER,
  type Place,
  tables,
  UNREACHABLE,
} from './daemon-place.ts';
import { LAN, LAN_INTERFACE } from './lan-kit.ts';
import { declareScenarios } from './namespace.ts';
import { STAGES, START, type Stage, untilReached } from './start-stages.ts';

const DISCARD_PORT = 9;
/** The kernel repeats the question for a neighbour after a second. */
const LOOKING_ON_MS = 1_500;
const { b32 } = generateKeys().destination;
const PEER = `[[peer]]\nname = "peer"\ndestination = "${b32}.b32.i2p"\n`;
/** Of the peer, and of nobody. */
const TARGETS = [formatAddress(addressesOf(b32).oc), 'fd60:db4d:ddb5::1', 'fd60:db4d:ddb5:ffff::1'];

/** Sends to addresses of the VPN without a pause until it is stopped. @returns how much of it left by the LAN */
async function watched(work: () => Promise<void>): Promise<number> {
  const capture = openCapture();
  const socket = createSocket('udp6');
  socket.on('error', () => {}); // Refused, as it has to be.
  let left = 0;
  const look = () => {
    const departed = capture.read().filter((packet) => packet.interface === LAN_INTERFACE);
    left += departed.filter(({ bytes }) => leakOf(bytes, 'no name') !== undefined).length;
  };
  const send = () => {
    for (const target of TARGETS) socket.send('for a peer alone', DISCARD_PORT, target);
    look();
  };
  const sending = setInterval(send, 1);
  try {
    await work();
    const end = performance.now() + LOOKING_ON_MS;
    await until('the neighbours would have been asked again', () => performance.now() > end);
    look();
    assert.equal(capture.missed(), 0, 'all that left was looked at');
    return left;
  } finally {
    clearInterval(sending);
    socket.close();
    capture.close();
  }
}

function leakTest({ config }: Place): Promise<string> {
  return new Promise((resolve) => {
    const command = [COMMAND, 'leak-test', '--config', config];
    execFile(process.execPath, command, (_failure, output, complaints) => resolve(output + complaints));
  });
}

/** Starts a gateway and kills it at this stage. */
async function killAt(stage: Stage, place: Place): Promise<void> {
  const gateway = launch(place);
  await untilReached(stage, place, gateway);
  assert.equal(await gateway.kill('SIGKILL'), 'SIGKILL', gateway.said());
  await assertNoProcessLeft();
}

/** As on a machine that never had a gateway. */
function forget(): void {
  assert.equal(hasInterface(), false);
  if (tables() !== '') execFileSync('nft', ['delete', 'table', 'ip6', 'garligate']);
  execFileSync('ip', ['-6', 'route', 'flush', 'type', 'unreachable']);
}

const firstGuarded = STAGES.findIndex(({ name }) => name === 'has its rules');

await declareScenarios(import.meta.filename, {
  'where a gateway has run before nothing leaves, at no moment of a start and at whichever it is killed': {
    prepare: `${LAN}; ip route add ${UNREACHABLE.replace(' pref medium', '')}`,
    longestMs: MANY_STARTS_MS,
    run: async () => {
      for (const stage of STAGES) {
        const place = makePlace(NO_ROUTER + PEER);
        assert.equal(await watched(() => killAt(stage, place)), 0, stage.name);
        rmSync(place.directory, { recursive: true });
        // The rules hold as well; here the route is to do it alone.
        if (tables() !== '') execFileSync('nft', ['delete', 'table', 'ip6', 'garligate']);
      }
    },
  },
  'killed in its first start ever, nothing leaves once it has its rules': {
    prepare: LAN,
    longestMs: MANY_STARTS_MS,
    run: async () => {
      for (const stage of STAGES.slice(firstGuarded)) {
        const place = makePlace(NO_ROUTER + PEER);
        await killAt(stage, place);
        assert.match(await leakTest(place), /nothing left this machine/, stage.name);
        rmSync(place.directory, { recursive: true });
        forget();
      }
    },
  },
  'before that the machine is one without a gateway, which the watch sees': {
    prepare: LAN,
    run: async () => {
      const place = makePlace(NO_ROUTER + PEER);
      assert.ok((await watched(() => killAt(START, place))) > 0);
      assert.match(await leakTest(place), /LEAK +\d+ packets for the VPN left by lan0/);
      rmSync(place.directory, { recursive: true });
    },
  },
});
