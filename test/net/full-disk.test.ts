/**
 * A disk that is full when something has to be written at a start: what is said, that nothing is there by halves, and that all
 * goes on once there is room. On small file systems of its own.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import { renderExample } from '../../src/config/render.ts';
import { lockKeys } from '../../src/io/key-file.ts';
import { generateKeys } from '../../src/io/key-generate.ts';
import { SYSTEM_PATHS } from '../../src/io/paths.ts';
import { until } from '../helpers/until.ts';
import {
  assertNothingLeft,
  COMMAND,
  hasInterface,
  makePlace,
  NO_ROUTER,
  type Place,
  refused,
  run,
  START_MS,
  tables,
} from './daemon-place.ts';
import { declareScenarios, type End } from './namespace.ts';

/** Only this mount namespace sees it. */
const SMALL = 'mount -t tmpfs -o size=1m,mode=755 none /mnt';
/** The directory of the key in it, the key, and one more file. */
const FEW_FILES = 'mount -t tmpfs -o nr_inodes=4,mode=755 none /mnt';
const FILLER = '/mnt/filler';
const KEY = '/mnt/state/id.key';
const PAGE = 4096;

/** @param left bytes for which there is room afterwards, in whole pages */
function fill(left = 0): void {
  const file = openSync(FILLER, 'a');
  try {
    for (;;) writeSync(file, Buffer.alloc(PAGE));
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error && error.code === 'ENOSPC');
    ftruncateSync(file, fstatSync(file).size - left);
  } finally {
    closeSync(file);
  }
}

const makeRoom = () => rmSync(FILLER);

/** With its key on the small disk. @param more of the config */
function makePlaceThere(more = NO_ROUTER): Place {
  const place = makePlace(more);
  writeFileSync(place.config, readFileSync(place.config, 'utf8').replace(place.key, KEY));
  mkdirSync(dirname(KEY), { mode: 0o700 });
  return { ...place, key: KEY };
}

async function init(config: string): Promise<{ readonly end: End; readonly said: string }> {
  const child = spawn(process.execPath, [COMMAND, 'init', '--config', config], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  const [out, complaints] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { end: child.exitCode ?? child.signalCode, said: out + complaints };
}

/** As the gateway does it. @returns what it finds out about the use before */
async function useKey(meanwhile: () => void): Promise<number> {
  const { unusedMs, release } = await lockKeys(KEY);
  meanwhile();
  await release();
  return unusedMs;
}

const noRoomFor = (doing: string) =>
  new RegExp(
    `^garligate: ${doing}: ENOSPC: no space left on device, \\w+.*; make room on that disk, then try again$`,
    'm',
  );

await declareScenarios(import.meta.filename, {
  'a key for which there is no room is not made, neither by a start nor by init, and is once there is': {
    prepare: SMALL,
    run: async () => {
      const place = makePlaceThere();
      fill();
      const start = await refused(place);
      assert.equal(start.end, 1, start.said);
      assert.match(start.said, noRoomFor(`making the identity ${KEY}`));
      assert.deepEqual([readdirSync(dirname(KEY)), tables(), hasInterface()], [[], '', false]);
      const { end, said } = await init(place.config);
      assert.equal(end, 1, said);
      assert.match(said, noRoomFor(`making the identity ${KEY}`));
      assert.deepEqual(readdirSync(dirname(KEY)), []);

      makeRoom();
      const gateway = await run(place);
      assert.match(gateway.said(), /^identity made; /m);
      assert.equal((await gateway.status()).vpn?.state, 'up');
      assert.equal(await gateway.kill('SIGTERM'), 0, gateway.said());
      assertNothingLeft(place);
      assert.deepEqual(readdirSync(dirname(KEY)).sort(), ['id.key', 'id.key.last-use']);
      rmSync(place.directory, { recursive: true });
    },
  },
  'a config file for which there is no room is not begun, and init makes the whole of it once there is': {
    // Where init makes the identity that the config then names.
    prepare: `${SMALL}; mount -t tmpfs none /var/lib`,
    run: async () => {
      const config = '/mnt/garligate.toml';
      // For the beginning there is room.
      fill(PAGE);
      const { end, said } = await init(config);
      assert.equal(end, 1, said);
      assert.match(said, noRoomFor(`writing ${config}`));
      assert.deepEqual(readdirSync('/mnt'), ['filler']);

      makeRoom();
      const again = await init(config);
      assert.equal(again.end, 0, again.said);
      assert.equal(readFileSync(config, 'utf8'), renderExample(SYSTEM_PATHS));
      assert.deepEqual(readdirSync('/mnt'), ['garligate.toml']);
    },
  },
  'a start that cannot note that its key is in use is refused, and the key stays as it was': {
    prepare: FEW_FILES,
    run: async () => {
      const place = makePlaceThere();
      const keys = generateKeys();
      writeFileSync(KEY, `${keys.blob.reveal()}\n`, { mode: 0o600 });
      writeFileSync(FILLER, '');
      const start = await refused(place);
      assert.equal(start.end, 1, start.said);
      assert.match(start.said, noRoomFor(`noting in ${KEY}.last-use that the key is in use`));
      assert.deepEqual([readdirSync(dirname(KEY)), tables(), hasInterface()], [['id.key'], '', false]);

      makeRoom();
      const gateway = await run(place);
      assert.match(gateway.said(), /^identity read; /m);
      const b32 = keys.destination.b32;
      assert.equal((await gateway.status()).identity.b32, `${b32.slice(0, 4)}…${b32.slice(-4)}`);
      assert.equal(await gateway.kill('SIGTERM'), 0, gateway.said());
      rmSync(place.directory, { recursive: true });
    },
  },
  'what a full disk keeps from being noted of the use of a key, the next start does not guess': {
    prepare: SMALL,
    run: async () => {
      mkdirSync(dirname(KEY), { mode: 0o700 });
      writeFileSync(KEY, `${generateKeys().blob.reveal()}\n`, { mode: 0o600 });
      fill();
      assert.equal(await useKey(() => {}), Number.POSITIVE_INFINITY);
      makeRoom();
      assert.equal(await useKey(() => {}), 0);
      // This one was noted.
      assert.ok((await useKey(fill)) > 0);
      makeRoom();
      assert.equal(await useKey(() => {}), 0);
    },
  },
  'a router of our own that cannot be put on record does not run, status says why, and with room it is started': {
    prepare: SMALL,
    longestMs: 60_000,
    run: async () => {
      const place = makePlaceThere('[router]\nsam = "managed"\ndirectory = "/mnt/router"\n');
      // The key is to be had.
      writeFileSync(KEY, `${generateKeys().blob.reveal()}\n`, { mode: 0o600 });
      fill();
      const gateway = await run(place);
      const { router, health } = await gateway.status();
      assert.equal(router.kind, 'none');
      assert.match(
        JSON.stringify([router, health]),
        /recording garligate's own i2pd in \/mnt\/router\.pid: ENOSPC: .*make room/,
      );
      makeRoom();
      await until('the router runs', async () => (await gateway.status()).router.kind === 'managed', START_MS);
      assert.match(readFileSync('/mnt/router.pid', 'utf8'), /"pid":\d+/);
      assert.equal(await gateway.kill('SIGTERM'), 0, gateway.said());
      assertNothingLeft(place);
      rmSync(place.directory, { recursive: true });
    },
  },
  'a router of our own that only a start could prepare, and had no room for, is told with the reason and the way out': {
    prepare: 'mount -t tmpfs -o nr_inodes=1,mode=755 none /mnt',
    run: async () => {
      const place = makePlace('[router]\nsam = "managed"\ndirectory = "/mnt/router"\n');
      const gateway = await run(place);
      // Not that the user who it is now may not make the file.
      const { router } = await gateway.status();
      assert.ok(router.kind === 'none', JSON.stringify(router));
      assert.match(
        router.why,
        /record of garligate's own i2pd in \/mnt\/router\.pid: ENOSPC: .*make room on that disk/,
      );
      assert.match(router.advice, /restart garligate/);
      assert.equal(await gateway.kill('SIGTERM'), 0, gateway.said());

      // i2pd makes some two hundred directories, and ends when it can't.
      execFileSync('mount', ['-o', 'remount,nr_inodes=10000', '/mnt']);
      const next = await run(place);
      assert.equal((await next.status()).router.kind, 'managed');
      assert.equal(await next.kill('SIGTERM'), 0, next.said());
      assertNothingLeft(place);
      rmSync(place.directory, { recursive: true });
    },
  },
});
