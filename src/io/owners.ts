/** Users and groups by name or number, out of /etc/passwd and /etc/group alone: anything else could ask a network. */
import { readFile } from 'node:fs/promises';
import { GateError } from '../kit/errors.ts';

/** As chown takes them; -1 leaves what is there. */
export interface FileOwnership {
  readonly uid: number;
  readonly gid: number;
}

/**
 * @param owner a name, a number, or '' for the one of `otherwise`; `group` too
 * @returns undefined when nothing is to be changed
 * @throws GateError `config` for a name that is not there
 */
export async function ownershipOf(
  owner: string,
  group: string,
  otherwise?: FileOwnership | undefined,
): Promise<FileOwnership | undefined> {
  if (owner === '' && group === '') return otherwise;
  const { uid = -1, gid = -1 } = otherwise ?? {};
  return {
    uid: owner === '' ? uid : await idOf(owner, 'user', '/etc/passwd'),
    gid: group === '' ? gid : await idOf(group, 'group', '/etc/group'),
  };
}

async function idOf(name: string, kind: 'user' | 'group', file: string): Promise<number> {
  if (/^\d+$/.test(name)) return Number(name);
  const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n').map((line) => line.split(':'));
  const id = lines.find(([known]) => known === name)?.[2];
  if (id !== undefined) return Number(id);
  throw new GateError('config', `config.${kind}`, `there is no ${kind} "${name}" in ${file}; make it, or name another`);
}
