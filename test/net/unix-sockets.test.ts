/** Unix sockets that are given away, or belong to somebody else: what only root can bring about. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Endpoint } from '../../src/config/endpoint.ts';
import { createMethodRegistry } from '../../src/control/methods.ts';
import { systemClock } from '../../src/io/clock.ts';
import { ControlServer } from '../../src/io/control-socket.ts';
import { listen } from '../../src/io/listener.ts';
import { GateError } from '../../src/kit/errors.ts';
import { silentLogger } from '../../src/kit/log.ts';
import { sampleSubject } from '../unit/control/sample-report.ts';
import { declareScenarios, NOBODY } from './namespace.ts';

function refuses(code: string, pattern: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof GateError && error.code === code && pattern.test(error.message);
}

async function inDirectory(run: (endpoint: Endpoint & { readonly path: string }) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'garligate-listener-'));
  try {
    await run({ kind: 'unix', path: join(directory, 'socks.sock') });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const WORLD = { clock: systemClock, log: silentLogger };

await declareScenarios(import.meta.filename, {
  'a unix socket is given to a user and a group by name or number, with its mode': {
    run: () =>
      inDirectory(async (endpoint) => {
        const listener = await listen({ endpoint, mode: 0o660, owner: 'nobody', group: String(NOBODY) }, WORLD);
        const { uid, gid, mode } = statSync(endpoint.path);
        assert.deepEqual([uid, gid, mode & 0o777], [NOBODY, NOBODY, 0o660]);
        await listener.close();
      }),
  },
  'a user or a group that is not there is told with the file that knows them': {
    run: () =>
      inDirectory(async (endpoint) => {
        const to = (owner: string, group: string) => listen({ endpoint, mode: 0o660, owner, group }, WORLD);
        await assert.rejects(to('nobody-of-this-name', ''), refuses('config.user', /\/etc\/passwd/));
        await assert.rejects(to('', 'nobody-of-this-name'), refuses('config.group', /\/etc\/group/));
        assert.equal(existsSync(endpoint.path), false);
      }),
  },
  'another user gets no connection to the control socket, and sees nothing of its directory': {
    run: async () => {
      const root = mkdtempSync(join(tmpdir(), 'garligate-control-'));
      chmodSync(root, 0o755);
      const path = join(root, 'run', 'control.sock');
      const methods = createMethodRegistry(sampleSubject);
      const server = new ControlServer({ path, mode: 0o660, methods, clock: systemClock, log: silentLogger });
      await server.start();
      const script = [
        `try { require('fs').readdirSync(${JSON.stringify(join(root, 'run'))}); console.log('open'); } catch ({ code }) { console.log(code); }`,
        `require('net').connect(${JSON.stringify(path)}, () => process.exit()).on('error', ({ code }) => console.log(code));`,
      ].join('\n');
      const asked = (...user: readonly string[]) =>
        spawnSync('setpriv', [...user, process.execPath, '-e', script], { encoding: 'utf8' }).stdout;
      assert.equal(asked(`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'), 'EACCES\nEACCES\n');
      // The directory is one wall, the socket another.
      chmodSync(join(root, 'run'), 0o755);
      assert.equal(asked(`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'), 'open\nEACCES\n');
      await server.stop();
      rmSync(root, { recursive: true });
    },
  },
  'a socket that took our place is not removed at the end': {
    run: () =>
      inDirectory(async (endpoint) => {
        const first = await listen({ endpoint, mode: 0o600 }, WORLD);
        renameSync(endpoint.path, `${endpoint.path}.moved`);
        const second = await listen({ endpoint, mode: 0o600 }, WORLD);
        await first.close();
        assert.ok(existsSync(endpoint.path));
        await second.close();
        assert.equal(existsSync(endpoint.path), false);
      }),
  },
  'who may not give it away is told so, and leaves nothing': {
    unprivileged: true,
    run: () =>
      inDirectory(async (endpoint) => {
        const given = listen({ endpoint, mode: 0o660, owner: 'root' }, WORLD);
        await assert.rejects(given, refuses('listener.owner', /run as root/));
        assert.equal(existsSync(endpoint.path), false);
      }),
  },
  'a dead socket of somebody else is not touched, one of the wanted owner is replaced': {
    run: () =>
      inDirectory(async (endpoint) => {
        const dead = await listen({ endpoint, mode: 0o600, owner: 'nobody' }, WORLD);
        renameSync(endpoint.path, `${endpoint.path}.kept`);
        await dead.close();
        renameSync(`${endpoint.path}.kept`, endpoint.path);
        const refused = listen({ endpoint, mode: 0o600 }, WORLD);
        await assert.rejects(refused, refuses('listener.foreign-socket', /user 65534/));
        assert.ok(existsSync(endpoint.path));
        await (await listen({ endpoint, mode: 0o600, owner: 'nobody' }, WORLD)).close();
      }),
  },
});
