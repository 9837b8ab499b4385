/** `garligate check`: would the gateway accept its config file and its identity? Changes nothing. */
import { formatEndpoint } from '../config/endpoint.ts';
import { b32Of } from '../config/rules.ts';
import { loadConfig } from '../io/config-file.ts';
import { readKeys } from '../io/key-file.ts';
import type { Places } from '../io/places.ts';
import { GateError } from '../kit/errors.ts';
import type { B32 } from '../wire/i2p/destination.ts';
import type { Terminal } from './terminal.ts';

/** @throws GateError */
export async function check(named: string | undefined, places: Places, terminal: Terminal): Promise<void> {
  const { config, file } = await loadConfig(named, places);
  const own = await ownName(config.identity.key_file);
  const self = config.peer.find(({ destination }) => b32Of(destination) === own);
  if (self !== undefined) {
    throw new GateError('config', 'config.self', `peer "${self.name}" is this gateway itself; remove it`);
  }
  terminal.print(file === undefined ? `no config file at ${places.configFile}: the defaults hold` : `${file}: correct`);
  terminal.print(identityLine(config.identity.key_file, own));
  for (const { key_file } of Object.values(config.identities)) {
    if (key_file !== '') terminal.print(identityLine(key_file, await ownName(key_file)));
  }
  const listening = config.socks.map(({ listen }) => formatEndpoint(listen)).join(', ');
  terminal.print(`vpn ${config.vpn.enabled ? `on ${config.vpn.interface}` : 'off'}, ${config.peer.length} peers`);
  terminal.print(`socks ${listening === '' ? 'off' : `on ${listening}`}`);
}

function identityLine(keyFile: string, name: B32 | undefined): string {
  return `identity ${keyFile}: ${name === undefined ? 'made at the first start' : 'correct'}`;
}

async function ownName(keyFile: string): Promise<B32 | undefined> {
  try {
    return (await readKeys(keyFile)).destination.b32;
  } catch (error) {
    if (error instanceof GateError && error.code === 'identity.missing') return undefined;
    throw error;
  }
}
