/** `garligate check`: would `run` accept this config file, and what it names? Changes nothing. */
import { lookAtKeys } from '../app/keys.ts';
import { configuredPeers } from '../app/peers.ts';
import { foreseePrivileges } from '../app/privileges.ts';
import { formatEndpoint } from '../config/endpoint.ts';
import type { Config } from '../config/schema.ts';
import { loadConfig, loadCredentials } from '../io/config-file.ts';
import { ownershipOf } from '../io/owners.ts';
import type { Paths } from '../io/paths.ts';
import { counted } from '../kit/counted.ts';
import { addressesOf } from '../wire/i2p/address.ts';
import type { PrivateKeys } from '../wire/i2p/destination.ts';
import type { Terminal } from './terminal.ts';

/** @throws GateError what `run` would say */
export async function check(named: string | undefined, paths: Paths, terminal: Terminal): Promise<void> {
  const { config, file } = await loadConfig(named, paths);
  const identities = await lookAtWhatItNames(config);
  terminal.print(file === undefined ? `no config file at ${paths.configFile}: the defaults hold` : `${file}: correct`);
  terminal.print(...identities);
  const listening = config.socks.map(({ listen }) => formatEndpoint(listen)).join(', ');
  terminal.print(
    `vpn ${config.vpn.enabled ? `on ${config.vpn.interface}` : 'off'}, ${counted(config.peer.length, 'peer')}`,
  );
  terminal.print(`socks ${listening === '' ? 'off' : `on ${listening}`}`);
}

/**
 * Users and files, in the order in which `run` needs them; and the peers, who can be judged only beside this gateway's own key.
 *
 * @returns a line for each identity
 * @throws GateError
 */
async function lookAtWhatItNames(config: Config): Promise<readonly string[]> {
  await foreseePrivileges(config);
  const { own, named } = await lookAtKeys(config);
  await loadCredentials(config.router);
  if (own !== undefined) configuredPeers(config, addressesOf(own.destination.b32));
  for (const { owner, group } of config.socks) await ownershipOf(owner, group);
  return [
    identityLine(config.identity.key_file, own),
    ...[...named].map(([name, keys]) => identityLine(config.identities[name]?.key_file ?? '', keys)),
  ];
}

function identityLine(keyFile: string, keys: PrivateKeys | undefined): string {
  return `identity ${keyFile}: ${keys === undefined ? 'made at the first start' : 'correct'}`;
}
