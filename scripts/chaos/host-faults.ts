/** What the fault lab lets happen on the host of one gateway: what another program, or a person, does to it. */
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { runCommand, waitUntil } from '../lab/command.ts';
import type { Gateway } from '../lab/gateway.ts';
import { WEB_PORT } from '../lab/lab.ts';
import { runInside } from '../lab/namespaces.ts';
import { type Fault, RESTART_AFTER_MS, SESSION_ENDS } from './fault.ts';

/** For as long as this something is wrong that garligate cannot put right. */
const WRONG_MS = 5_000;
const ENDED_MS = 10_000;
const OTHER_NAME = 'renamed0';
/** Clients at a time that come while there are no descriptors left. */
const CLIENTS = 20;

export const HOST_FAULTS: readonly Fault[] = [
  {
    name: 'interface-renamed',
    what: 'somebody renames the interface, and names it back after 5 s',
    blockedMs: WRONG_MS,
    happen: async ({ a }, signal) => {
      await ip(a, 'link', 'set', a.interfaceName, 'name', OTHER_NAME);
      await pause(WRONG_MS, undefined, { signal });
      await ip(a, 'link', 'set', OTHER_NAME, 'name', a.interfaceName);
    },
  },
  {
    name: 'route',
    what: "another program leads the peer's address elsewhere for 5 s",
    blockedMs: WRONG_MS,
    happen: async ({ a, b }, signal) => {
      const route = ['unreachable', `${b.addresses.oc}/128`, 'metric', '1'];
      await ip(a, '-6', 'route', 'add', ...route);
      await pause(WRONG_MS, undefined, { signal });
      await ip(a, '-6', 'route', 'delete', ...route);
    },
  },
  {
    name: 'rules-flushed',
    what: 'somebody flushes all rules of nftables on both hosts',
    happen: async ({ a, b }) => {
      for (const { namespace } of [a, b]) await runInside(namespace, 'nft', ['flush', 'ruleset']);
    },
  },
  {
    name: 'descriptors',
    what: `no descriptor is left while ${CLIENTS} SOCKS clients come, for 5 s`,
    happen: async ({ a, b }, signal) => {
      const pid = a.pid();
      if (pid === undefined) throw new Error(`gateway ${a.name} was never started`);
      const before = (await limit(pid, '--nofile', '--noheadings', '--output', 'SOFT')).trim();
      await limit(pid, '--nofile=3:');
      const get = [
        '-s',
        '-m',
        `${WRONG_MS / 1_000}`,
        '-x',
        `socks5h://${a.socks}`,
        `http://[${b.addresses.oc}]:${WEB_PORT}/`,
      ];
      // Refused, as it has to be.
      const refused = () => runInside(a.namespace, 'curl', get).catch(() => {});
      const clients = Array.from({ length: CLIENTS }, refused);
      await Promise.all([...clients, pause(WRONG_MS, undefined, { signal })]);
      await limit(pid, `--nofile=${before}:`);
    },
  },
  {
    name: 'interface-deleted',
    what: 'somebody deletes the interface; a supervisor starts the gateway again',
    mayBreak: SESSION_ENDS,
    blockedMs: RESTART_AFTER_MS,
    happen: async ({ a, traffic }, signal) => {
      traffic.bare.drop('a');
      await ip(a, 'link', 'delete', a.interfaceName);
      await waitUntil('the gateway has ended', async () => (a.alive() ? undefined : true), {
        timeoutMs: ENDED_MS,
        signal,
      });
      await pause(RESTART_AFTER_MS, undefined, { signal });
      await a.start(signal);
    },
  },
];

/** As the user of the process, who needs no capability for it: in a container root has not got the one it takes. */
async function limit(pid: number, ...args: readonly string[]): Promise<string> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const [uid = '', gid = ''] = ['Uid', 'Gid'].map((key) => new RegExp(`^${key}:\\t(\\d+)`, 'm').exec(status)?.[1]);
  const asUser = ['--reuid', uid, '--regid', gid, '--clear-groups'];
  return runCommand('setpriv', [...asUser, 'prlimit', '--pid', `${pid}`, ...args]);
}

function ip({ namespace }: Gateway, ...args: readonly string[]): Promise<string> {
  return runCommand('ip', ['-n', namespace, ...args]);
}
