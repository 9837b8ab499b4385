/** The slow cable between two namespaces does what it is told: it delays, narrows, loses, bounds its queue, and goes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import type { CableShape } from '../../scripts/lab/line-shape.ts';
import { createSegment, inNamespace, type Segment } from '../../scripts/lab/namespaces.ts';
import { compileSlowCable, laySlowCable, type SlowCable } from '../../scripts/lab/slow-cable.ts';

const ADDRESS = '198.18.1.1';
/** Ethernet, IPv4 and ICMP. */
const HEADERS = 42;
const PERFECT: CableShape = { delayMs: 0, bytesPerSecond: 0, loss: 0, queueBytes: 2 ** 20 };

let segment: Segment;
let cable: SlowCable;

before(async () => {
  const program = await compileSlowCable();
  segment = await createSegment(`garcable${process.pid}`);
  await segment.add('r1', ADDRESS, async (near, hub) => {
    cable = await laySlowCable(program, [near, hub], 1);
  });
});
after(() => segment.remove());

interface Answer {
  readonly number: number;
  /** Seconds. */
  readonly at: number;
  readonly roundTripMs: number;
}

function ping(count: number, everyMs: number, bytes: number): readonly Answer[] {
  const args = ['-n', '-D', '-c', `${count}`, '-i', `${everyMs / 1000}`, '-s', `${bytes}`, '-W', '5', ADDRESS];
  const [command, words] = inNamespace(segment.hub, 'ping', args);
  // ping fails when nothing came back: so does whoever counts.
  const said = execFileSync('sh', ['-c', '"$@" || [ $? = 1 ]', 'sh', command, ...words], { encoding: 'utf8' });
  const answers = [...said.matchAll(/^\[([\d.]+)\] .*icmp_seq=(\d+) .*time=([\d.]+) ms$/gm)];
  return answers.map(([, at, number, time]) => ({ number: Number(number), at: Number(at), roundTripMs: Number(time) }));
}

test('a cable that was told nothing carries everything at once', () => {
  const answers = ping(50, 5, 56);
  assert.equal(answers.length, 50);
  assert.ok(Math.min(...answers.map(({ roundTripMs }) => roundTripMs)) < 20);
});

test('each way takes as long as it is told, and order is kept', async () => {
  await cable.shape({ ...PERFECT, delayMs: 100 });
  const answers = ping(50, 10, 56);
  const times = answers.map(({ roundTripMs }) => roundTripMs);
  const numbers = answers.map(({ number }) => number);
  assert.equal(answers.length, 50);
  assert.ok(Math.min(...times) >= 200, `${Math.min(...times)}`);
  assert.ok(Math.min(...times) < 230, `${Math.min(...times)}`);
  assert.deepEqual(
    numbers,
    numbers.toSorted((one, other) => one - other),
  );
  for (const { delayMs, carried } of await cable.figures()) {
    assert.ok(delayMs >= 100 && delayMs < 150, `${delayMs}`);
    assert.ok(carried >= 50);
  }
});

test('no more bytes per second come through than it is told, and no fewer', async () => {
  // ping sends at most one every 10 ms while answers are missing: four times as much as this, and more than it on a
  // machine that is busy.
  const rate = 25_000;
  await cable.shape({ ...PERFECT, bytesPerSecond: rate, queueBytes: 20_000 });
  const length = 1_000;
  const answers = ping(400, 10, length);
  const [first, last] = [answers[0], answers.at(-1)];
  assert.ok(first && last && answers.length > 50, `${answers.length}`);
  const reached = ((answers.length - 1) * (length + HEADERS)) / (last.at - first.at);
  assert.ok(reached > 0.85 * rate && reached < 1.1 * rate, `${reached}`);
  const [, toRouter] = await cable.figures();
  assert.ok(toRouter.dropped > 100, 'what the line does not take is counted');
  assert.equal(toRouter.lost, 0);
  assert.ok(toRouter.bytesPerSecond > 0.85 * rate && toRouter.bytesPerSecond < 1.1 * rate);
});

test('what waits has a bound, and so has the time of waiting', async () => {
  await cable.shape({ ...PERFECT, bytesPerSecond: 50_000, queueBytes: 20_000 });
  const times = ping(200, 10, 1_000).map(({ roundTripMs }) => roundTripMs);
  // A full queue is 400 ms long; the way back is never full.
  assert.ok(Math.max(...times) > 300, `${Math.max(...times)}`);
  assert.ok(Math.max(...times) < 600, `${Math.max(...times)}`);
});

test('the share that is lost is the one that it is told', async () => {
  await cable.shape({ ...PERFECT, loss: 0.2 });
  const answers = ping(1_000, 2, 56).length;
  const [fromRouter, toRouter] = await cable.figures();
  // There and back: 0.8 * 0.8. Five standard deviations of 1000 draws are 0.076 here and 0.063 below.
  assert.ok(Math.abs(answers / 1_000 - 0.64) < 0.076, `${answers}`);
  for (const { carried, lost } of [fromRouter, toRouter]) {
    assert.ok(Math.abs(lost / (carried + lost) - 0.2) < 0.063, `${lost} of ${carried + lost}`);
  }
});

test('a pulled plug carries nothing, and the next one all again', async () => {
  await cable.shape(PERFECT);
  await segment.plug('r1', false);
  assert.equal(ping(3, 10, 56).length, 0);
  await segment.plug('r1', true);
  assert.equal(ping(3, 10, 56).length, 3);
});

test('both interfaces go with it', async () => {
  const interfaces = () => execFileSync('ip', ['-n', segment.hub, '-o', 'link', 'show'], { encoding: 'utf8' });
  assert.match(interfaces(), /to-r1/);
  await cable.remove();
  assert.doesNotMatch(interfaces(), /to-r1/);
  await assert.rejects(cable.figures(), /the slow cable has ended/);
});
