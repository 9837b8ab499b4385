/** `garligate init`: the config file and the identity, where they are missing. Never replaces anything. */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { defaultConfig } from '../config/decode.ts';
import { renderExample } from '../config/render.ts';
import { loadConfig } from '../io/config-file.ts';
import { loadOrCreateKeys } from '../io/key-file.ts';
import { makeFile } from '../io/new-file.ts';
import type { Paths } from '../io/paths.ts';
import { findUser, type UserIds } from '../io/processes.ts';
import { asGateError } from '../kit/errors.ts';
import type { B32 } from '../wire/i2p/destination.ts';
import { hostNameOf } from '../wire/i2p/hostname.ts';
import { namesOf } from './address.ts';
import type { Terminal } from './terminal.ts';

/** @throws GateError */
export async function init(named: string | undefined, paths: Paths, terminal: Terminal): Promise<void> {
  const path = named ?? paths.configFile;
  const isNew = await writeIfMissing(path, renderExample(paths), await readerOf(paths));
  terminal.print(`config ${path}: ${isNew ? 'written' : 'is there already, not touched'}`);

  // An existing file may name another place for the key.
  const { config } = await loadConfig(path, paths);
  const { key_file } = config.identity;
  const { keys, created } = await loadOrCreateKeys(key_file);
  terminal.print(`identity ${key_file}: ${created ? 'made; keep a copy, it is your address' : 'is there already'}`);

  const { b32 } = keys.destination;
  terminal.print('', ...namesOf(b32), '');
  terminal.print('For a friend, to go into the config file there; put their lines into yours:', '', ...peerLines(b32));
}

/** How others name this gateway. Only they can say what it may reach: without the last line their host stays silent. */
function peerLines(b32: B32): readonly string[] {
  return [
    '[[peer]]',
    'name = "your-name"',
    `destination = "${hostNameOf(b32)}"`,
    '# What this peer may reach at your host: nothing without this line, so it could not even ping you.',
    '#allow = ["icmp"]',
  ];
}

/** Whom root's gateway becomes, and who has to read the file again for a reload. */
async function readerOf(paths: Paths): Promise<UserIds | undefined> {
  return process.geteuid?.() === 0 ? findUser([defaultConfig(paths).privileges.user]) : undefined;
}

/** @param reader whose group may read it, besides its owner */
async function writeIfMissing(path: string, text: string, reader: UserIds | undefined): Promise<boolean> {
  try {
    await mkdir(dirname(path), { recursive: true });
    // Not for everybody: it will say who your peers are.
    const mode = reader === undefined ? 0o600 : 0o640;
    return await makeFile({ path, text, mode, gid: reader?.gid });
  } catch (error) {
    throw asGateError(error, `writing ${path}`);
  }
}
