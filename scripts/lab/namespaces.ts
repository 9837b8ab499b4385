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
/** Each namespace has a second address that differs in this. The way from one of these to another is never slow. */
const FAR = /^198\.18\./;
const NEAR = '198.19.';
const HUB_ADDRESS = '198.18.0.1';
const BRIDGE = 'br0';
const HUB = 'hub';

export interface Segment {
  /** Namespaces are called `<name>-<part>`. */
  readonly name: string;
  /** The namespace that holds the bridge, with an address of its own on it. */
  readonly hub: string;
  /**
   * A namespace with an interface `eth0` on the segment.
   *
   * @param part what it is, at most 10 characters: `r1`
   * @param address begins with 198.18; its near address is there too
   * @param lay makes its cable, of which both ends are still down; a veth pair unless told. One of another kind carries
   *     what goes to `address` alone; there is a second one, `near0`, for the near address.
   * @returns its name
   */
  add(part: string, address: string, lay?: LayCable): Promise<string>;
  /** Pulls the cable of a namespace or puts it back. */
  plug(part: string, connected: boolean): Promise<void>;
  /** Ends everything that runs in the namespaces, then removes them. */
  remove(): Promise<void>;
}

export interface CableEnd {
  readonly namespace: string;
  readonly interface: string;
}

export type LayCable = (near: CableEnd, hub: CableEnd) => Promise<void>;

/** Leftovers of an earlier segment of the same name are removed first. */
export async function createSegment(name: string, signal?: AbortSignal): Promise<Segment> {
  await removeNamespaces(name);
  const ip = (...args: string[]) => runCommand('ip', args, { signal });
  const hub = `${name}-${HUB}`;

  await ip('netns', 'add', hub);
  await ip('-n', hub, 'link', 'set', 'lo', 'up');
  await ip('-n', hub, 'link', 'add', BRIDGE, 'type', 'bridge', 'forward_delay', '0');
  await give(hub, BRIDGE, HUB_ADDRESS, nearAddress(HUB_ADDRESS));

  return {
    name,
    hub,
    add: async (part, address, lay) => {
      const namespace = `${name}-${part}`;
      await ip('netns', 'add', namespace);
      await ip('-n', namespace, 'link', 'set', 'lo', 'up');
      const plugIn = async (near: string, far: string, layCable: LayCable, ...addresses: readonly string[]) => {
        await layCable({ namespace, interface: near }, { namespace: hub, interface: far });
        await ip('-n', hub, 'link', 'set', far, 'master', BRIDGE, 'up');
        await give(namespace, near, ...addresses);
      };
      if (lay === undefined) {
        await plugIn('eth0', `to-${part}`, layVeth, address, nearAddress(address));
      } else {
        // Otherwise the kernel answers for an address at both interfaces, and what is to be slow is not.
        await runInside(namespace, 'sysctl', [
          '-qw',
          'net.ipv4.conf.all.arp_ignore=1',
          'net.ipv4.conf.all.arp_announce=2',
        ]);
        await plugIn('eth0', `to-${part}`, lay, address);
        await plugIn('near0', `near-${part}`, layVeth, nearAddress(address));
      }
      return namespace;
    },
    plug: async (part, connected) => {
      await runCommand('ip', ['-n', hub, 'link', 'set', `to-${part}`, connected ? 'up' : 'down']);
    },
    remove: () => removeNamespaces(name),
  };
}

/** Of the namespace with this address: for programs that are next to each other, whatever lies between routers. */
export function nearAddress(address: string): string {
  return address.replace(FAR, NEAR);
}

async function give(namespace: string, name: string, ...addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    await runCommand('ip', ['-n', namespace, 'address', 'add', `${address}/${PREFIX_LENGTH}`, 'dev', name]);
  }
  await runCommand('ip', ['-n', namespace, 'link', 'set', name, 'up']);
}

async function layVeth(near: CableEnd, hub: CableEnd): Promise<void> {
  const peer = ['peer', 'name', near.interface, 'netns', near.namespace];
  await runCommand('ip', ['-n', hub.namespace, 'link', 'add', hub.interface, 'type', 'veth', ...peer]);
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
