/** The TCP and UDP services of this host that listen on IPv6, out of /proc/net (proc(5)). */
import { readFile } from 'node:fs/promises';
import { endianness } from 'node:os';
import type { ListeningService } from '../core/firewall/exposure.ts';

/** State of a TCP socket that listens, and of a UDP socket that is not connected: TCP_LISTEN and TCP_CLOSE. */
const OPEN_STATE = { tcp: '0A', udp: '07' } as const;

/** In this process's network namespace. Sockets that are bound to an interface cannot be told from others. */
export async function listeningServices(): Promise<readonly ListeningService[]> {
  const [tcp, udp] = await Promise.all([tableOf('tcp'), tableOf('udp')]);
  return [...parseSocketTable('tcp', tcp), ...parseSocketTable('udp', udp)];
}

/** Empty on a machine without IPv6. */
function tableOf(protocol: 'tcp' | 'udp'): Promise<string> {
  return readFile(`/proc/self/net/${protocol}6`, 'latin1').catch(() => '');
}

/** @param table as /proc/net/tcp6 and udp6 have it: `sl local_address remote_address st ...` in each line */
export function parseSocketTable(protocol: 'tcp' | 'udp', table: string): readonly ListeningService[] {
  const services: ListeningService[] = [];
  for (const line of table.split('\n')) {
    const [, , words, port, state] =
      /^\s*(\d+): ([0-9A-F]{32}):([0-9A-F]{4}) [0-9A-F]{32}:[0-9A-F]{4} ([0-9A-F]{2}) /.exec(line) ?? [];
    if (words === undefined || port === undefined || state !== OPEN_STATE[protocol]) continue;
    services.push({ protocol, port: Number.parseInt(port, 16), address: addressOf(words) });
  }
  return services;
}

/** Four words of 32 bits, each printed as a number of this machine. */
function addressOf(words: string): Buffer {
  const bytes = Buffer.from(words, 'hex');
  return endianness() === 'LE' ? bytes.swap32() : bytes;
}
