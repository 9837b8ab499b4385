/**
 * A gateway on real sockets that loses its session over and over, or is given a wrong one: it always comes back, and
 * nothing that was open stays open.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { FakeBridge } from '../helpers/fake-bridge/bridge.ts';
import { FakeNetwork } from '../helpers/fake-bridge/network.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import { until } from '../helpers/until.ts';
import { generateKeys, startGateway } from './gateway-kit.ts';

const LOSSES = 100;
const ACCEPTS = 3;
/** So many in a row, a millisecond or more apart, that see the same. */
const LOOKS_AT_REST = 100;

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return ''; // That of the folder itself has gone.
  }
}

function openSockets(): number {
  return readdirSync('/proc/self/fd').filter((fd) => linkOf(fd).startsWith('socket:')).length;
}

/**
 * Those of TCP alone: the loader of the tests closes some of its own whenever it likes. Takes tens of milliseconds where
 * thousands of sockets of this machine wait for their end.
 */
function tcpSockets(): number {
  const inodes = new Set(
    readFileSync('/proc/self/net/tcp', 'latin1')
      .split('\n')
      .map((line) => `socket:[${line.trim().split(/\s+/)[9]}]`),
  );
  return readdirSync('/proc/self/fd').filter((fd) => inodes.has(linkOf(fd))).length;
}

test(`after ${LOSSES} losses in a row the gateway is back, with as many sockets, connections and timers as before`, async (t) => {
  const clock = new FakeClock();
  const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament: 'java', clock });
  const gate = await startGateway({ bridge, clock, config: `[limits]\naccepts = ${ACCEPTS}` });
  t.after(async () => {
    await gate.stop();
    await bridge.stop();
  });
  const { accepting, sessions } = gate.gateway;
  const isBack = () => sessions.list()[0]?.session.state.kind === 'ready' && accepting.armed > 0;
  const settled = async () => {
    await until('it is back', async () => {
      if (!isBack()) await clock.advance(500);
      return isBack();
    });
    // On Java I2P all accepts are armed at once.
    await until('its accepts stand', async () => {
      await clock.advance(100);
      return accepting.armed === ACCEPTS && bridge.sessions[0]?.armed === ACCEPTS;
    });
  };
  const lose = async (loss: number) => {
    if (loss % 2 === 0) await bridge.restart();
    else for (const { id } of bridge.sessions) bridge.dropSession(id);
    await until('the loss is known', () => !isBack());
    await settled();
  };
  /** Once nothing is being closed any more, which takes some turns of the event loop. */
  const openAtRest = async () => {
    let [last, looks] = [openSockets(), 0];
    await until('what was given up is closed', () => {
      const now = openSockets();
      looks = now === last ? looks + 1 : 0;
      last = now;
      return looks === LOOKS_AT_REST;
    });
    return { sockets: tcpSockets(), connections: bridge.openSockets, timers: clock.pending };
  };
  await settled();
  // Whatever the first one needs for good.
  await lose(0);
  const before = await openAtRest();
  for (let loss = 1; loss <= LOSSES; loss += 1) await lose(loss);
  assert.deepEqual(await openAtRest(), before);
});

for (const temperament of ['i2pd-2.45', 'i2pd-2.59', 'java'] as const) {
  test(`a session that ${temperament} makes with another destination carries nothing, and is asked for again`, async (t) => {
    const clock = new FakeClock();
    const bridge = await FakeBridge.start({ network: new FakeNetwork(), temperament, clock });
    const other = generateKeys().blob.reveal();
    const lie = (answer: string) => answer.replace(/DESTINATION=\S+/, `DESTINATION=${other}`);
    bridge.misbehave({ on: 'SESSION CREATE', times: 1, action: { kind: 'answer', alter: lie } });
    const gate = await startGateway({ bridge, clock });
    t.after(async () => {
      await gate.stop();
      await bridge.stop();
    });
    const state = () => gate.gateway.sessions.list()[0]?.session.state ?? assert.fail('no session');
    const became = (kind: string) =>
      until(`the session is ${kind}`, async () => {
        if (state().kind !== kind) await clock.advance(100);
        return state().kind === kind;
      });
    await became('waiting');
    const seen = state();
    assert.ok(seen.kind === 'waiting' && seen.why.code === 'sam.foreign-destination', JSON.stringify(seen));
    assert.equal(gate.gateway.accepting.armed, 0);
    await became('ready');
    assert.deepEqual(
      bridge.sessions.map(({ b32 }) => b32),
      [gate.b32],
    );
  });
}
