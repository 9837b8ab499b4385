/**
 * What the gateway may do on its host, read out of /proc for each of its threads, in the three ways to start it: by root,
 * by a user on an interface that root has made, and for SOCKS alone by a user without any right.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
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
import { fileURLToPath } from 'node:url';
import type { StatusReport } from '../../src/control/status.ts';
import { statusReport } from '../../src/control/status.ts';
import { systemClock } from '../../src/io/clock.ts';
import { connectControl } from '../../src/io/control-socket.ts';
import { generateKeys } from '../../src/io/key-generate.ts';
import { findUser, isAlive, markOf } from '../../src/io/processes.ts';
import { addressesOf, formatAddress, PREFIX_TEXT } from '../../src/wire/i2p/address.ts';
import { until } from '../helpers/until.ts';
import { declareScenarios } from './namespace.ts';
import { NODE_FOR_ALL } from './tun-kit.ts';

const COMMAND = fileURLToPath(new URL('../../bin/garligate', import.meta.url));
const NEVER = new AbortController().signal;
const START_MS = 20_000;
const NONE = '0'.repeat(16);
const NET_ADMIN = '0000000000001000';
const UNREACHABLE = `unreachable ${PREFIX_TEXT} dev lo proto static metric 4294967295 pref medium`;

interface Place {
  readonly directory: string;
  readonly key: string;
  readonly socket: string;
  readonly socks: string;
  readonly config: string;
}

/** @param more of the config; `HERE` in it is the directory of the place */
function makePlace(more: string, owner = 0): Place {
  const directory = mkdtempSync(join(tmpdir(), 'garligate-privileges-'));
  const at = (name: string) => join(directory, name);
  const place = {
    directory,
    key: at('state/id.key'),
    socket: at('run/control.sock'),
    socks: at('run/socks.sock'),
    config: at('toml'),
  };
  mkdirSync(at('state'), { mode: 0o700 });
  const text = `[identity]\nkey_file = "${place.key}"\n[control]\nsocket = "${place.socket}"\n${more.replaceAll('HERE', directory)}`;
  writeFileSync(place.config, text, { mode: 0o600 });
  // As /run and /var/lib are: root's, and open to be walked through.
  chmodSync(directory, 0o755);
  if (owner !== 0) for (const path of [directory, place.config, at('state')]) chownSync(path, owner, owner);
  return place;
}

interface Running {
  readonly pid: number;
  said(): string;
  status(): Promise<StatusReport>;
  kill(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
}

async function run(place: Place, wrapper: readonly string[] = []): Promise<Running> {
  const command = [...wrapper, process.execPath, COMMAND, 'run', '--config', place.config];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  let said = '';
  for (const output of [child.stdout, child.stderr]) {
    output.on('data', (data) => {
      said += String(data);
    });
  }
  await until('the gateway is up', () => /^router: /m.test(said) || child.exitCode !== null, START_MS);
  assert.equal(child.exitCode, null, said);
  return {
    pid: child.pid ?? assert.fail(),
    said: () => said,
    status: async () => {
      const control = await connectControl(place.socket, systemClock, NEVER);
      try {
        return statusReport.parse(await control.request('status', {}));
      } finally {
        control.close();
      }
    },
    kill: async (signal) => {
      child.kill(signal);
      await ended;
      return child.exitCode ?? child.signalCode;
    },
  };
}

/** Of each thread, the fields of its status. */
function threadsOf(pid: number): readonly ReadonlyMap<string, string>[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
    return new Map([...status.matchAll(/^(\w+):[\t ]*(.*)$/gm)].map(([, key = '', value = '']) => [key, value.trim()]));
  });
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

function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

const tables = () => execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' }).trim();
const routes = () => ip('-6', 'route', 'show', PREFIX_TEXT).trim();
const hasInterface = () => / garli0: /.test(ip('-o', 'link'));

function assertNothingLeft(place: Place): void {
  assert.deepEqual([tables(), routes(), hasInterface()], ['', UNREACHABLE, false]);
  assert.deepEqual([existsSync(place.socket), existsSync(place.socks)], [false, false]);
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
      assert.equal(threadsOf(gateway.pid)[0]?.get('CapBnd'), NET_ADMIN);
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
  'its own router is yet another user, and is started again when nobody is root any more': {
    longestMs: 60_000,
    run: async () => {
      const { uid } = await accountOf('garligate');
      const place = makePlace('[router]\nsam = "managed"\ndirectory = "HERE/state/router"\n');
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
  'killed, it starts again, and its router did not outlive it': {
    longestMs: 60_000,
    run: async () => {
      const place = makePlace('[router]\nsam = "managed"\ndirectory = "HERE/state/router"\n');
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
      assert.equal(threadsOf(gateway.pid)[0]?.get('CapBnd'), NONE);
      assert.equal(await gateway.kill('SIGTERM'), 0, gateway.said());
      assert.equal(existsSync(place.socket), false);
      rmSync(place.directory, { recursive: true });
    },
  },
  'without its user it does not start, and it stays root only when told to': {
    run: async () => {
      const place = makePlace('[router]\nsam = "127.0.0.1:1"\n[privileges]\nuser = "no-such-user"\n');
      const refused = spawn(process.execPath, [COMMAND, 'run', '--config', place.config], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let complaint = '';
      refused.stderr.on('data', (data) => {
        complaint += String(data);
      });
      await once(refused, 'close');
      assert.equal(refused.exitCode, 5, complaint);
      assert.match(complaint, /"no-such-user", but there is no such user\. Make one: useradd .*\[privileges\] user/);
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
