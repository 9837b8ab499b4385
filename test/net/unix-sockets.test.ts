/** Unix sockets that are given away, or belong to somebody else: what only root can bring about. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Endpoint } from '../../src/config/endpoint.ts';
import { listen } from '../../src/io/listener.ts';
import { GateError } from '../../src/kit/errors.ts';
import { silentLogger } from '../../src/kit/log.ts';
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

await declareScenarios(import.meta.filename, {
  'a unix socket is given to a user and a group by name or number, with its mode': {
    run: () =>
      inDirectory(async (endpoint) => {
        const listener = await listen({ endpoint, mode: 0o660, owner: 'nobody', group: String(NOBODY) }, silentLogger);
        const { uid, gid, mode } = statSync(endpoint.path);
        assert.deepEqual([uid, gid, mode & 0o777], [NOBODY, NOBODY, 0o660]);
        await listener.close();
      }),
  },
  'a user or a group that is not there is told with the file that knows them': {
    run: () =>
      inDirectory(async (endpoint) => {
        const to = (owner: string, group: string) => listen({ endpoint, mode: 0o660, owner, group }, silentLogger);
        await assert.rejects(to('nobody-of-this-name', ''), refuses('config.user', /\/etc\/passwd/));
        await assert.rejects(to('', 'nobody-of-this-name'), refuses('config.group', /\/etc\/group/));
        assert.equal(existsSync(endpoint.path), false);
      }),
  },
  'a socket that took our place is not removed at the end': {
    run: () =>
      inDirectory(async (endpoint) => {
        const first = await listen({ endpoint, mode: 0o600 }, silentLogger);
        renameSync(endpoint.path, `${endpoint.path}.moved`);
        const second = await listen({ endpoint, mode: 0o600 }, silentLogger);
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
        const given = listen({ endpoint, mode: 0o660, owner: 'root' }, silentLogger);
        await assert.rejects(given, refuses('listener.owner', /run as root/));
        assert.equal(existsSync(endpoint.path), false);
      }),
  },
  'a dead socket of somebody else is not touched, one of the wanted owner is replaced': {
    run: () =>
      inDirectory(async (endpoint) => {
        const dead = await listen({ endpoint, mode: 0o600, owner: 'nobody' }, silentLogger);
        renameSync(endpoint.path, `${endpoint.path}.kept`);
        await dead.close();
        renameSync(`${endpoint.path}.kept`, endpoint.path);
        const refused = listen({ endpoint, mode: 0o600 }, silentLogger);
        await assert.rejects(refused, refuses('listener.foreign-socket', /user 65534/));
        assert.ok(existsSync(endpoint.path));
        await (await listen({ endpoint, mode: 0o600, owner: 'nobody' }, silentLogger)).close();
      }),
  },
});
