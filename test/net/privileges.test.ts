/**
 * What the gateway may do on its host, read out of /proc for each of its threads, in the three ways to start it: by root,
 * by a user on an interface that root has made, and for SOCKS alone by a user without any right.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeys } from '../../src/io/key-generate.ts';
import { SYSTEM_PATHS } from '../../src/io/paths.ts';
import { findUser, isAlive, markOf } from '../../src/io/processes.ts';
import { addressesOf, formatAddress, PREFIX_TEXT } from '../../src/wire/i2p/address.ts';
import { until } from '../helpers/until.ts';
import {
  assertNoProcessLeft,
  assertNothingLeft,
  assertStops,
  COMMAND,
  DOWN_MS,
  hasInterface,
  ip,
  makePlace,
  NO_ROUTER,
  OWN_ROUTER,
  type Place,
  type Running,
  refused,
  routes,
  run,
  START_MS,
  tables,
} from './daemon-place.ts';
import { declareScenarios } from './namespace.ts';
import { NODE_FOR_ALL } from './tun-kit.ts';

const NONE = '0'.repeat(16);
const NET_ADMIN = '0000000000001000';

/** Their outcomes when nothing is left of root's rights. */
const IN_VAIN = ['EACCES', 'EACCES', 'EACCES', 'EACCES', 'EACCES', 'EPERM', 'EPERM'];

/**
 * A wrapper for the gateway, which loads what somebody would have who has broken in: at SIGUSR2 it tries to read, replace and
 * make what is root's, and to be root again, and says how each attempt ended.
 */
function intruder({ directory, key, config }: Place): readonly string[] {
  const attempts = [
    `readFileSync('${key}')`,
    `writeFileSync('${key}', 'another')`,
    `writeFileSync('${config}', 'another')`,
    `writeFileSync('${directory}/state/new', '')`,
    "readFileSync('/etc/shadow')",
    'process.setgroups([0])',
    'process.setuid(0)',
  ];
  const script = [
    "import { readFileSync, writeFileSync } from 'node:fs';",
    "const attempt = (what) => { try { what(); return 'done'; } catch ({ code }) { return code; } };",
    `process.on('SIGUSR2', () => console.error('outcome ' + [${attempts.map((one) => `() => ${one}`)}].map(attempt)));`,
  ].join('');
  return ['env', `NODE_OPTIONS=--import=data:text/javascript,${encodeURIComponent(script)}`];
}

async function intrude(gateway: Running): Promise<readonly string[]> {
  gateway.signal('SIGUSR2');
  const outcome = () => /^outcome (.*)$/m.exec(gateway.said())?.[1];
  await until('it has tried', () => outcome() !== undefined);
  return outcome()?.split(',') ?? [];
}

/** Of each thread, the fields of its status. */
function threadsOf(pid: number): readonly ReadonlyMap<string, string>[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
    return new Map([...status.matchAll(/^(\w+):[\t ]*(.*)$/gm)].map(([, key = '', value = '']) => [key, value.trim()]));
  });
}

function mainThread(pid: number): ReadonlyMap<string, string> | undefined {
  return threadsOf(pid).find((thread) => thread.get('Pid') === String(pid));
}

/** @param kept the capabilities of the main thread; every other one has these or none */
function assertRights(pid: number, uid: number, kept: string): void {
  const main = new Map(
    [...readFileSync(`/proc/${pid}/status`, 'utf8').matchAll(/^(\w+):[\t ]*(.*)$/gm)].map(([, k, v]) => [k, v]),
  );
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) assert.equal(main.get(set), kept, set);
  const threads = threadsOf(pid);
  assert.ok(threads.length > 5);
  for (const thread of threads) {
    assert.deepEqual(
      thread.get('Uid')?.split('\t'),
      Array.from({ length: 4 }, () => String(uid)),
    );
    assert.doesNotMatch(thread.get('Gid') ?? '', /\b0\b/);
    assert.equal(thread.get('Groups'), '');
    assert.equal(thread.get('NoNewPrivs'), '1');
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'])
      assert.ok([kept, NONE].includes(thread.get(set) ?? ''), set);
  }
  assert.match(readFileSync(`/proc/${pid}/limits`, 'utf8'), /^Max core file size +0 +0 /m);
  // proc(5): what belongs to root there is a process that is not dumpable, and that no user may look into.
  assert.equal(statSync(`/proc/${pid}/environ`).uid, 0);
}

async function accountOf(name: string) {
  return (await findUser([name])) ?? assert.fail(`no user ${name}: npm test makes it`);
}

async function routerPid(gateway: Running): Promise<number> {
  const { router } = await gateway.status();
  return router.kind === 'managed' ? router.pid : assert.fail(JSON.stringify(router));
}

/** As a user, without any right and any way to one. */
const asUser = ({ uid, gid }: { readonly uid: number; readonly gid: number }) => [
  'setpriv',
  `--reuid=${uid}`,
  `--regid=${gid}`,
  '--clear-groups',
  '--bounding-set=-all',
  '--inh-caps=-all',
  '--',
];

/** As root, with the capabilities that the systemd unit leaves it, and no way to others. */
function asUnit(): readonly string[] {
  const unit = readFileSync(new URL('../../docs/examples/garligate.service', import.meta.url), 'utf8');
  assert.doesNotMatch(unit, /^(User|Group|AmbientCapabilities)=/m);
  const given = [...unit.matchAll(/^CapabilityBoundingSet=(.*)$/gm)].flatMap(([, names = '']) => names.split(' '));
  const set = ['-all', ...given.map((name) => `+${name.replace(/^CAP_/, '').toLowerCase()}`)].join(',');
  return ['setpriv', '--no-new-privs', `--bounding-set=${set}`, '--'];
}

function parentOf(pid: number): number {
  return Number(mainThread(pid)?.get('PPid'));
}

/** @param stopped which processes somebody stops, by the process id of the router */
async function comeDownWithoutRouter(stopped: (router: number) => readonly number[]): Promise<void> {
  const place = makePlace(OWN_ROUTER);
  const gateway = await run(place);
  const router = (await markOf(await routerPid(gateway))) ?? assert.fail('no router');
  const starter = parentOf(parentOf(router.pid));
  for (const pid of stopped(router.pid)) process.kill(pid, 'SIGSTOP');
  const sentAt = performance.now();
  assert.equal(await gateway.kill('SIGTERM'), 0, gateway.said());
  assert.ok(performance.now() - sentAt < DOWN_MS, `it took ${performance.now() - sentAt} ms`);
  assertNothingLeft(place);
  const [, told] = /"processes":"([\d ]*)".*may not kill it/.exec(gateway.said()) ?? [];
  assert.equal(told, `${starter} ${router.pid}`, gateway.said());
  assert.ok(await isAlive(router));

  const next = await run(place);
  await until('the next start has ended it', async () => !(await isAlive(router)));
  assert.notEqual(await routerPid(next), router.pid);
  assert.equal(await next.kill('SIGTERM'), 0, next.said());
  assertNothingLeft(place);
  // The shell hears of the end of its gateway when it goes on, and the other one ends with it.
  process.kill(starter, 'SIGCONT');
  await assertNoProcessLeft();
  rmSync(place.directory, { recursive: true });
}

await declareScenarios(import.meta.filename, {
  'started by root it is another user, with one capability, and cleans up all the same': {
    longestMs: 60_000,
    run: async () => {
      const { uid } = await accountOf('garligate');
      const place = makePlace('[router]\nsam = "127.0.0.1:1"\n[[socks]]\nlisten = "unix:HERE/run/socks.sock"\n');
      mkdirSync(join(place.directory, 'run'), { mode: 0o750 });
      chownSync(join(place.directory, 'run'), uid, uid);
      const gateway = await run(place);
      assertRights(gateway.pid, uid, NET_ADMIN);
      assert.equal(mainThread(gateway.pid)?.get('CapBnd'), NET_ADMIN);
      const { rights, vpn, firewall } = await gateway.status();
      assert.deepEqual(rights, { user: 'garligate', capabilities: ['CAP_NET_ADMIN'], noNewPrivileges: true });
      assert.deepEqual([vpn?.state, firewall?.state, tables()], ['up', 'on', 'table ip6 garligate']);
      for (const path of [place.socket, place.socks])
        assert.deepEqual([statSync(path).uid, statSync(path).mode & 0o777], [uid, 0o660]);
      // What it needs the capability for: somebody takes the rules away.
      execFileSync('nft', ['flush', 'ruleset']);
      await until('the rules are back', () => tables() === 'table ip6 garligate');
      // Keys stay root's: the gateway cannot replace them.
      assert.deepEqual([statSync(place.key).uid, statSync(`${place.directory}/state`).uid], [0, 0]);
      assert.equal(await gateway.kill('SIGTERM'), 0, gateway.said());
      assertNothingLeft(place);
      assert.match(readFileSync(`${place.key}.last-use`, 'utf8'), /^\d{4}-\d\d-\d\dT/);
      rmSync(place.directory, { recursive: true });
    },
  },
  'whoever has broken in reads and replaces nothing of root, and does not become root again': {
    longestMs: 60_000,
    run: async () => {
      const place = makePlace(NO_ROUTER);
      const gateway = await run(place, intruder(place));
      const files = () => [place.key, place.config].map((file) => readFileSync(file, 'utf8'));
      const before = files();
      assert.deepEqual(await intrude(gateway), IN_VAIN);
      assert.deepEqual(files(), before);
      assert.equal(await gateway.kill('SIGTERM'), 0, gateway.said());
      // The attempts are real ones: in a gateway that stays root each of them does well.
      writeFileSync(place.config, `${before[1]}[privileges]\nuser = "root"\n`);
      const root = await run(place, intruder(place));
      assert.deepEqual(
        await intrude(root),
        IN_VAIN.map(() => 'done'),
      );
      await root.kill('SIGKILL');
      rmSync(place.directory, { recursive: true });
    },
  },
  'its own router is yet another user, and is started again when nobody is root any more': {
    longestMs: 60_000,
    run: async () => {
      const { uid } = await accountOf('garligate');
      const place = makePlace(OWN_ROUTER);
      const gateway = await run(place);
      assertRights(gateway.pid, uid, NET_ADMIN);
      const first = await routerPid(gateway);
      for (const thread of threadsOf(first)) {
        assert.doesNotMatch(thread.get('Uid') ?? '', new RegExp(`\\b(0|${uid})\\b`));
        assert.deepEqual([thread.get('CapPrm'), thread.get('NoNewPrivs')], [NONE, '1']);
      }
      process.kill(first, 'SIGKILL');
      await until('another router runs', async () => {
        const { router } = await gateway.status();
        return router.kind === 'managed' && router.pid !== first;
      });
      await until(
        'its bridge is taken',
        async () => (await gateway.status()).sessions.some(({ state }) => state === 'building'),
        START_MS,
      );
      const second = await markOf(await routerPid(gateway));
      assert.equal(await gateway.kill('SIGTERM'), 0, gateway.said());
      assert.ok(second !== undefined && !(await isAlive(second)));
      assertNothingLeft(place);
      rmSync(place.directory, { recursive: true });
    },
  },
  'its router is started again when it ended with the shell that tells of that, also where /proc hides them from the gateway':
    {
      prepare: 'mount -t proc -o hidepid=2 none /proc',
      longestMs: 60_000,
      run: async () => {
        const place = makePlace(OWN_ROUTER);
        const gateway = await run(place);
        const first = await routerPid(gateway);
        process.kill(parentOf(first), 'SIGKILL');
        await until(
          'another router runs',
          async () => {
            const { router } = await gateway.status();
            return router.kind === 'managed' && router.pid !== first;
          },
          START_MS,
        );
        await assertStops(gateway, place);
        rmSync(place.directory, { recursive: true });
      },
    },
  'when the shell that starts its router is stopped, which it may not kill, it comes down, says so, and the next start ends the router':
    { longestMs: 60_000, run: () => comeDownWithoutRouter((router) => [parentOf(parentOf(router))]) },
  'when its router and both of its shells are stopped, it comes down, says so, and the next start ends the router': {
    longestMs: 60_000,
    run: () => comeDownWithoutRouter((router) => [router, parentOf(router), parentOf(parentOf(router))]),
  },
  'with no more than its unit gives root, it becomes its user, has a router of another one that cannot read the key, and reloads':
    {
      // The unit's directories, as systemd makes them.
      prepare: [
        'mount -t tmpfs -o mode=755 none /run',
        'mount -t tmpfs -o mode=755 none /var/lib',
        'mkdir -m 750 /run/garligate',
        'mkdir -m 700 /var/lib/garligate',
      ].join('; '),
      longestMs: 60_000,
      run: async () => {
        const { uid } = await accountOf('garligate');
        const directory = mkdtempSync(join(tmpdir(), 'garligate-unit-'));
        const place = { config: join(directory, 'toml'), socket: SYSTEM_PATHS.controlSocket };
        writeFileSync(place.config, '[router]\nsam = "managed"\n', { mode: 0o644 });
        chmodSync(directory, 0o755);
        const gateway = await run(place, asUnit());
        assertRights(gateway.pid, uid, NET_ADMIN);
        assert.equal(mainThread(gateway.pid)?.get('CapBnd'), NET_ADMIN);
        const [router] = threadsOf(await routerPid(gateway));
        const [routerUid = 0, routerGid = 0] = ['Uid', 'Gid'].map((id) => Number(router?.get(id)?.split('\t')[0]));
        assert.ok(routerUid !== 0 && routerUid !== uid, String(routerUid));
        const asRouter = (...words: string[]) => {
          const [command = '', ...rest] = [...asUser({ uid: routerUid, gid: routerGid }), ...words];
          return execFileSync(command, rest, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
        };
        assert.equal(statSync(SYSTEM_PATHS.keyFile).uid, 0);
        assert.throws(() => asRouter('cat', SYSTEM_PATHS.keyFile), /Permission denied/);
        // The attempt is a real one.
        assert.equal(asRouter('cat', place.config), readFileSync(place.config, 'utf8'));
        const [command = '', ...rest] = [...asUnit(), process.execPath, COMMAND, 'reload', '--config', place.config];
        execFileSync(command, rest, { encoding: 'utf8' });
        assert.equal(await gateway.kill('SIGTERM'), 0, gateway.said());
        assertNothingLeft({ ...place, socks: '' });
        rmSync(directory, { recursive: true });
      },
    },
  'killed, it starts again, and its router did not outlive it': {
    longestMs: 60_000,
    run: async () => {
      const place = makePlace(OWN_ROUTER);
      const killed = await run(place);
      const router = await markOf(await routerPid(killed));
      assert.equal(await killed.kill('SIGKILL'), 'SIGKILL');
      assert.ok(existsSync(place.socket));
      await until('its router has ended', async () => router !== undefined && !(await isAlive(router)));
      const next = await run(place);
      assert.equal((await next.status()).vpn?.state, 'up');
      assert.equal(await next.kill('SIGTERM'), 0, next.said());
      assertNothingLeft(place);
      rmSync(place.directory, { recursive: true });
    },
  },
  'a user without rights runs it on an interface that root has made': {
    prepare: NODE_FOR_ALL,
    longestMs: 60_000,
    run: async () => {
      const user = await accountOf('garligate');
      const place = makePlace('[router]\nsam = "127.0.0.1:1"\n[firewall]\nenabled = false\n', user.uid);
      const keys = generateKeys();
      writeFileSync(place.key, `${keys.blob.reveal()}\n`, { mode: 0o600 });
      chownSync(place.key, user.uid, user.gid);
      const { oc, ocat4 } = addressesOf(keys.destination.b32);
      ip('tuntap', 'add', 'mode', 'tun', 'user', String(user.uid), 'name', 'garli0');
      ip('link', 'set', 'garli0', 'addrgenmode', 'none');
      ip('link', 'set', 'garli0', 'mtu', '1500', 'up');
      for (const own of [oc, ocat4]) ip('-6', 'addr', 'add', `${formatAddress(own)}/128`, 'dev', 'garli0', 'nodad');
      ip('-6', 'route', 'add', PREFIX_TEXT, 'dev', 'garli0', 'src', formatAddress(oc));
      ip('-6', 'route', 'add', 'unreachable', PREFIX_TEXT, 'metric', '4294967295');
      const gateway = await run(place, asUser(user));
      assertRights(gateway.pid, user.uid, NONE);
      const { rights, vpn } = await gateway.status();
      assert.deepEqual(rights, { user: 'garligate', capabilities: [], noNewPrivileges: true });
      assert.equal(vpn?.state, 'up');
      assert.equal(await gateway.kill('SIGTERM'), 0, gateway.said());
      assert.deepEqual([hasInterface(), existsSync(place.socket)], [true, false]);
      rmSync(place.directory, { recursive: true });
    },
  },
  'SOCKS alone runs without any right': {
    run: async () => {
      const user = await accountOf('garligate');
      const place = makePlace('[router]\nsam = "127.0.0.1:1"\n[vpn]\nenabled = false\n', user.uid);
      const gateway = await run(place, asUser(user));
      assertRights(gateway.pid, user.uid, NONE);
      assert.equal(await gateway.kill('SIGTERM'), 0, gateway.said());
      assert.equal(existsSync(place.socket), false);
      rmSync(place.directory, { recursive: true });
    },
  },
  'SOCKS alone keeps nothing of what root has': {
    run: async () => {
      const { uid } = await accountOf('garligate');
      const place = makePlace('[router]\nsam = "127.0.0.1:1"\n[vpn]\nenabled = false\n');
      const gateway = await run(place);
      assertRights(gateway.pid, uid, NONE);
      assert.equal(mainThread(gateway.pid)?.get('CapBnd'), NONE);
      assert.equal(await gateway.kill('SIGTERM'), 0, gateway.said());
      assert.equal(existsSync(place.socket), false);
      rmSync(place.directory, { recursive: true });
    },
  },
  'without its user it does not start, and it stays root only when told to': {
    run: async () => {
      const place = makePlace('[router]\nsam = "127.0.0.1:1"\n[privileges]\nuser = "no-such-user"\n');
      const start = await refused(place);
      assert.equal(start.end, 5, start.said);
      assert.match(start.said, /"no-such-user", but there is no such user\. Make one: useradd .*\[privileges\] user/);
      assert.deepEqual([tables(), routes(), hasInterface(), existsSync(place.key)], ['', '', false, false]);

      writeFileSync(place.config, readFileSync(place.config, 'utf8').replace('no-such-user', 'root'), { mode: 0o600 });
      const gateway = await run(place);
      const { rights } = await gateway.status();
      assert.deepEqual([rights.user, rights.noNewPrivileges], ['root', false]);
      assert.match(gateway.said(), /stays root/);
      assert.equal(await gateway.kill('SIGTERM'), 0, gateway.said());
      assertNothingLeft(place);
      rmSync(place.directory, { recursive: true });
    },
  },
  'a socket in a directory of root is told to stay, and gives way to the next start': {
    run: async () => {
      const place = makePlace('[router]\nsam = "127.0.0.1:1"\n[vpn]\nenabled = false\n');
      mkdirSync(join(place.directory, 'run'));
      for (const mode of [0o755, 0o700]) {
        chmodSync(join(place.directory, 'run'), mode);
        const gateway = await run(place);
        assert.match(gateway.said(), /garligate may not write to .*\/run: a dead socket stays/);
        await gateway.status();
        assert.equal(await gateway.kill('SIGTERM'), 0, gateway.said());
        assert.ok(existsSync(place.socket));
      }
      rmSync(place.directory, { recursive: true });
    },
  },
});
