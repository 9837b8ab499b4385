/**
 * A peer that lies about what has arrived, to be sent more than its line carries: what is really out is what counts here,
 * and not what the gateway believes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InFlight } from '../../../../src/front/vpn/in-flight.ts';
import { encodeKeepalive, type Measurement, parseKeepalive } from '../../../../src/wire/packet/keepalive.ts';
import { FakeClock } from '../../../helpers/fake-clock.ts';
import { line, own, peer } from '../../core/support.ts';
import { node, packet } from './packets.ts';

const KIB = 1024;
const PACKET = 1_500;
const EVERYTHING = 2 ** 48 - 1;
/** Before anything is measured. */
const FIRST_LIMIT = 16 * KIB;
const HIGHEST_LIMIT = 16 * KIB * KIB;

test('who says that all has arrived, as soon as anything has, is sent 16 MiB more than his line carries, and no more', () => {
  for (const bytesPerMs of [20, 1_000]) {
    const bound = new InFlight();
    const asks: Array<{ readonly stamp: number; readonly behind: number }> = [];
    let [sent, arrived, mostOut, stamp] = [0, 0, 0, 0];
    for (let now = 0; now < 60_000; now += 1) {
      arrived = Math.min(arrived + bytesPerMs, sent);
      while (asks[0] !== undefined && asks[0].behind <= arrived) {
        bound.answered(asks[0].stamp, EVERYTHING, now);
        asks.shift();
      }
      while (bound.requestRoom() > 0) {
        bound.sent(PACKET, now);
        sent += PACKET;
        if (bound.wantsAsk) {
          stamp += 1;
          bound.asked(stamp, now);
          asks.push({ stamp, behind: sent });
        }
      }
      mostOut = Math.max(mostOut, sent - arrived);
    }
    assert.ok(mostOut <= HIGHEST_LIMIT + PACKET, `${mostOut} bytes were out at ${bytesPerMs} bytes/ms`);
    assert.ok(arrived > 0.9 * 60_000 * bytesPerMs, 'and it is not held back for good');
  }
});

/**
 * Sends whatever it can for some seconds to a peer whose router takes all, while the peer answers what it likes.
 *
 * @param isHonestOnce answers the first question as it should, without which it gets no packet at all
 */
async function sendTo(answer: (round: number) => Measurement | undefined, isHonestOnce = true): Promise<number> {
  const clock = new FakeClock();
  const me = node({ clock, me: 1, them: 2, queue: { packets: 1_024, bytes: 2 * KIB * KIB, ageMs: 5_000 } });
  me.link.start();
  const [ours, theirs] = line({ halfClose: false });
  let out = 0;
  let question: Buffer = Buffer.alloc(0);
  theirs.on('data', (bytes: Buffer) => {
    if (out === 0) question = bytes;
    out += bytes.length;
  });
  const say = (measurement: Measurement | undefined) =>
    theirs.write(
      encodeKeepalive({
        source: peer(2).addresses.oc,
        destination: own(1).addresses.oc,
        flowLabel: 1,
        name: peer(2).b32,
        announcement: {
          wantsAnswer: false,
          knowsFlows: false,
          mtu: 1_500,
          ...(measurement === undefined ? {} : { measurement }),
        },
      }),
    );
  say({ stamp: 1, echo: undefined, received: 0 });
  me.link.accept(ours, 'verified');
  await clock.advance(10);
  const stamp = parseKeepalive(question).announcement?.measurement?.stamp ?? assert.fail('it asks first');
  if (isHonestOnce) say({ stamp: 2, echo: stamp, received: out });
  const one = packet(me.address, me.peer.addresses.oc, 1, PACKET - 40);
  for (let round = 1; round <= 1_000; round += 1) {
    for (let count = 0; count < 50; count += 1) me.link.send(one);
    say(answer(round));
    await clock.advance(10);
  }
  await me.link.stop();
  return out;
}

test('who answers nothing that was asked is sent no packet', async () => {
  const out = await sendTo((round) => ({ stamp: round, echo: round, received: EVERYTHING }), false);
  assert.ok(out > 0 && out < PACKET, `${out} bytes were sent`);
});

test('stamps cannot be guessed: who answers what he has not had gets the first 16 KiB and nothing more', async () => {
  const out = await sendTo((round) => ({ stamp: round, echo: round, received: EVERYTHING }));
  assert.ok(out > FIRST_LIMIT / 2 && out < 2 * FIRST_LIMIT, `${out} bytes were sent`);
});

test('who has said what has arrived is held to it: one that says so no more is sent no more', async () => {
  const out = await sendTo(() => undefined);
  assert.ok(out > FIRST_LIMIT / 2 && out < 2 * FIRST_LIMIT, `${out} bytes were sent`);
});
