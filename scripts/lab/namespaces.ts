/**
 * One Ethernet segment without a way out: a hub namespace with a bridge, and any number of namespaces plugged into it.
 * Nothing connects it with the namespace of the machine, so nothing that runs inside can reach the internet.
 */
import { runCommand, waitUntil } from './command.ts';

/**
 * 198.18.0.0/15 is set aside for tests between networks (RFC 2544), so no host of the internet has such an address; and
 * i2pd 2.45.1 refuses incoming connections from the other private ranges whatever `reservedrange` says.
 */
const PREFIX_LENGTH = 16;
const HUB_ADDRESS = '198.18.0.1';
const BRIDGE = 'br0';
const HUB = 'hub';

export interface Segment {
  /** Namespaces are called `<name>-<part>`. */
  readonly name: string;
  /** The namespace that holds the bridge, with an address of its own on it. */
  readonly hub: string;
  /**
   * A namespace with one interface `eth0` on the segment.
   *
   * @param part what it is, at most 10 characters: `r1`
   * @returns its name
   */
  add(part: string, address: string): Promise<string>;
  /** Pulls the cable of a namespace or puts it back. */
  plug(part: string, connected: boolean): Promise<void>;
  /** Ends everything that runs in the namespaces, then removes them. */
  remove(): Promise<void>;
}

/** Leftovers of an earlier segment of the same name are removed first. */
export async function createSegment(name: string, signal?: AbortSignal): Promise<Segment> {
  await removeNamespaces(name);
  const ip = (...args: string[]) => runCommand('ip', args, { signal });
  const hub = `${name}-${HUB}`;

  await ip('netns', 'add', hub);
  await ip('-n', hub, 'link', 'set', 'lo', 'up');
  await ip('-n', hub, 'link', 'add', BRIDGE, 'type', 'bridge', 'forward_delay', '0');
  await ip('-n', hub, 'address', 'add', `${HUB_ADDRESS}/${PREFIX_LENGTH}`, 'dev', BRIDGE);
  await ip('-n', hub, 'link', 'set', BRIDGE, 'up');

  return {
    name,
    hub,
    add: async (part, address) => {
      const namespace = `${name}-${part}`;
      await ip('netns', 'add', namespace);
      await ip('-n', hub, 'link', 'add', `to-${part}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
      await ip('-n', hub, 'link', 'set', `to-${part}`, 'master', BRIDGE, 'up');
      await ip('-n', namespace, 'address', 'add', `${address}/${PREFIX_LENGTH}`, 'dev', 'eth0');
      await ip('-n', namespace, 'link', 'set', 'lo', 'up');
      await ip('-n', namespace, 'link', 'set', 'eth0', 'up');
      return namespace;
    },
    plug: async (part, connected) => {
      await runCommand('ip', ['-n', hub, 'link', 'set', `to-${part}`, connected ? 'up' : 'down']);
    },
    remove: () => removeNamespaces(name),
  };
}

/**
 * The command line that runs a program inside a namespace. It dies with the process that started it, so that even a lab
 * killed with -9 leaves no router behind.
 */
export function inNamespace(namespace: string, command: string, args: readonly string[]): [string, string[]] {
  return ['ip', ['netns', 'exec', namespace, 'setpriv', '--pdeathsig', 'KILL', command, ...args]];
}

/** Runs a program inside a namespace to its end. */
export function runInside(
  namespace: string,
  command: string,
  args: readonly string[],
  options: { readonly signal?: AbortSignal | undefined; readonly timeoutMs?: number } = {},
): Promise<string> {
  return runCommand(...inNamespace(namespace, command, args), options);
}

async function removeNamespaces(name: string): Promise<void> {
  const listing = await runCommand('ip', ['netns', 'list']);
  const ours = listing
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((namespace) => namespace.startsWith(`${name}-`));
  for (const namespace of ours) {
    // A namespace lives on unseen as long as a process is in it.
    await waitUntil(`${namespace} is empty`, () => emptied(namespace), { timeoutMs: 5_000, everyMs: 50 });
    await runCommand('ip', ['netns', 'delete', namespace]);
  }
}

/** `true` when no process is left; otherwise kills what is there and says "not yet". */
async function emptied(namespace: string): Promise<true | undefined> {
  const pids = (await runCommand('ip', ['netns', 'pids', namespace])).split('\n').filter((line) => line !== '');
  for (const pid of pids) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch (error) {
      // It ended by itself between the listing and now.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }
  return pids.length === 0 ? true : undefined;
}
