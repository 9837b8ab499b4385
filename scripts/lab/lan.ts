/**
 * A network behind a gateway of the lab, with one host on it: it has no way but through its gateway, and no I2P of its own.
 */
import { runCommand } from './command.ts';
import { runInside, type Segment } from './namespaces.ts';

export interface Lan {
  /** As it stands in the config: `fd0a:1::/64`. */
  readonly prefix: string;
  readonly host: { readonly namespace: string; readonly address: string };
}

/** @param name of the gateway, one hexadecimal digit */
export function lanPrefix(name: string): string {
  return `fd0${name}:1::/64`;
}

/** The gateway forwards from then on. The host goes with the segment. */
export async function layLan(
  segment: Segment,
  gateway: { readonly name: string; readonly namespace: string },
): Promise<Lan> {
  const prefix = lanPrefix(gateway.name);
  const [router, address] = [1, 2].map((number) => prefix.replace('/64', `${number}`));
  if (router === undefined || address === undefined) throw new Error(`no addresses in ${prefix}`);
  const namespace = `${segment.name}-host-${gateway.name}`;
  const inGateway = (...args: string[]) => runCommand('ip', ['-n', gateway.namespace, ...args]);
  const onHost = (...args: string[]) => runCommand('ip', ['-n', namespace, ...args]);
  await runCommand('ip', ['netns', 'add', namespace]);
  await inGateway('link', 'add', 'lan0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
  await inGateway('-6', 'address', 'add', `${router}/64`, 'dev', 'lan0', 'nodad');
  await inGateway('link', 'set', 'lan0', 'up');
  await onHost('link', 'set', 'lo', 'up');
  await onHost('-6', 'address', 'add', `${address}/64`, 'dev', 'eth0', 'nodad');
  await onHost('link', 'set', 'eth0', 'up');
  await onHost('-6', 'route', 'add', 'default', 'via', router);
  await runInside(gateway.namespace, 'sysctl', ['-qw', 'net.ipv6.conf.all.forwarding=1']);
  return { prefix, host: { namespace, address } };
}
