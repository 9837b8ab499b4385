/** What the service manager is told, and when; that it arrives is seen in test/net/service-manager.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createServiceManager, type ManagerEnvironment } from '../../../src/io/service-manager.ts';
import { silentLogger } from '../../../src/kit/log.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';

const ADDRESS = '/run/manager/notify';
const PID = 42;

function setting(environment: ManagerEnvironment) {
  const clock = new FakeClock();
  const told: string[] = [];
  const warnings: string[] = [];
  let hears = true;
  const manager = createServiceManager({
    environment,
    clock,
    log: { ...silentLogger, warn: (message) => warnings.push(message) },
    pid: PID,
    tell: (address, message) => {
      assert.equal(address, ADDRESS);
      if (!hears) throw new Error('nobody listens');
      told.push(message);
    },
  });
  const listen = (now: boolean) => {
    hears = now;
  };
  return { clock, told, warnings, manager, listen };
}

test('it hears that the gateway is up, twice in its time that it is alive, and that it ends', async () => {
  for (const WATCHDOG_PID of [undefined, String(PID)]) {
    const { clock, told, manager } = setting({ NOTIFY_SOCKET: ADDRESS, WATCHDOG_USEC: '60000000', WATCHDOG_PID });
    await clock.advance(100_000);
    assert.deepEqual(told, []);
    manager.ready();
    await clock.advance(29_999);
    assert.deepEqual(told, ['READY=1']);
    await clock.advance(60_001);
    assert.deepEqual(told, ['READY=1', 'WATCHDOG=1', 'WATCHDOG=1', 'WATCHDOG=1']);
    manager.stopping();
    assert.deepEqual([told.at(-1), clock.pending], ['STOPPING=1', 0]);
  }
});

for (const [why, environment] of [
  ['it does not ask for it', {}],
  ['it asks another process', { WATCHDOG_USEC: '60000000', WATCHDOG_PID: '41' }],
  ['its time is no number', { WATCHDOG_USEC: 'soon' }],
  ['its time is nothing', { WATCHDOG_USEC: '0' }],
] as const) {
  test(`it does not hear that the gateway is alive where ${why}`, () => {
    const { clock, told, manager } = setting({ NOTIFY_SOCKET: ADDRESS, ...environment });
    manager.ready();
    assert.equal(clock.pending, 0);
    manager.stopping();
    assert.deepEqual(told, ['READY=1', 'STOPPING=1']);
  });
}

test('where no manager listens nobody is told anything', () => {
  const { clock, told, warnings, manager } = setting({ WATCHDOG_USEC: '60000000' });
  manager.ready();
  assert.equal(clock.pending, 0);
  manager.stopping();
  assert.deepEqual([told, warnings], [[], []]);
});

test('that it does not hear is logged once, and once more when it has heard meanwhile', async () => {
  const { clock, told, warnings, manager, listen } = setting({ NOTIFY_SOCKET: ADDRESS, WATCHDOG_USEC: '2000000' });
  listen(false);
  manager.ready();
  await clock.advance(3_500);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /nobody listens/);
  listen(true);
  await clock.advance(1_000);
  assert.deepEqual(told, ['WATCHDOG=1']);
  listen(false);
  manager.stopping();
  assert.equal(warnings.length, 2);
});
