/**
 * `garligate address`: converts between the forms in which a gateway is named. Needs no running gateway: what a name does
 * not tell by itself is looked up in the config file.
 */
import { b32Of } from '../config/rules.ts';
import { findPeer, type PeersByName } from '../core/peers/find.ts';
import { loadConfig } from '../io/config-file.ts';
import { readKeys } from '../io/key-file.ts';
import type { Paths } from '../io/paths.ts';
import { GateError } from '../kit/errors.ts';
import { type Address, addressesOf, addressKey, formatAddress } from '../wire/i2p/address.ts';
import type { B32 } from '../wire/i2p/destination.ts';
import { classifyTyped, hostNameOf, hostNameOfAddress } from '../wire/i2p/hostname.ts';
import { type Terminal, table } from './terminal.ts';

/**
 * Prints this gateway's own names, or those of each of `names`.
 *
 * @throws GateError
 */
export async function address(
  names: readonly string[],
  config: string | undefined,
  paths: Paths,
  terminal: Terminal,
): Promise<void> {
  if (names.length === 0) {
    const loaded = await loadConfig(config, paths);
    terminal.print(...namesOf((await readKeys(loaded.config.identity.key_file)).destination.b32));
    return;
  }
  const answers: (readonly string[])[] = [];
  for (const name of names) answers.push(await convert(name, () => namedIn(config, paths)));
  terminal.print(...answers.flatMap((lines, at) => (at === 0 ? lines : ['', ...lines])));
}

export function namesOf(b32: B32): readonly string[] {
  const { oc, ocat4 } = addressesOf(b32);
  return table([
    ['b32', hostNameOf(b32)],
    ['address', formatAddress(oc)],
    ['name', hostNameOfAddress(oc)],
    ['ocat4', formatAddress(ocat4)],
  ]);
}

/** The destinations that the config file names: its peers by all that they go by, and its aliases. */
interface NamedDestinations extends PeersByName<B32> {
  /** By a name under .i2p. */
  byAlias(host: string): B32 | undefined;
}

/** @throws GateError */
async function namedIn(file: string | undefined, paths: Paths): Promise<NamedDestinations> {
  const { config } = await loadConfig(file, paths);
  const peers = config.peer.map(({ name, destination }) => ({ name: name.toLowerCase(), b32: b32Of(destination) }));
  const has = (b32: B32, key: string) => Object.values(addressesOf(b32)).some((address) => addressKey(address) === key);
  const aliases = new Map(Object.entries(config.names));
  return {
    byName: (name) => peers.find((peer) => peer.name === name)?.b32,
    byB32: (b32) => peers.find((peer) => peer.b32 === b32)?.b32,
    byAddress: (key) => peers.find(({ b32 }) => has(b32, key))?.b32,
    byAlias: (host) => {
      const destination = aliases.get(host);
      return destination && b32Of(destination);
    },
  };
}

/**
 * @param text whatever a peer goes by; any b32 name, with or without `.b32.i2p`; a base64 destination; `<16>.oc.b32.i2p`; an
 *   address of the VPN; or a name of the config file's [names]
 * @throws GateError `name-invalid`, or what `named` throws
 */
async function convert(text: string, named: () => Promise<NamedDestinations>): Promise<readonly string[]> {
  const host = classifyTyped(text);
  switch (host.kind) {
    case 'b32':
      return namesOf(host.b32);
    case 'destination':
      return namesOf(host.destination.b32);
    case 'address': {
      // 80 bits do not tell a destination: only a peer's can be named.
      const peer = findPeer(await named(), text);
      return peer === undefined ? shortNamesOf(host.address) : namesOf(peer);
    }
    case 'peer':
      return namesOfSomebody(findPeer(await named(), text), 'no [[peer]] of the config file has this name');
    case 'b33':
      throw invalid('the name of an encrypted lease set has no address');
    case 'address-book': {
      const known = await named();
      const why = 'only a router knows the destination behind this name; its b32 name is wanted';
      return namesOfSomebody(findPeer(known, text) ?? known.byAlias(host.host), why);
    }
    case 'foreign': {
      const why = 'this is not a name or address inside I2P, nor the name of a [[peer]] of the config file';
      return namesOfSomebody(findPeer(await named(), text), why);
    }
    default:
      return host satisfies never;
  }
}

function shortNamesOf(address: Address): readonly string[] {
  return table([
    ['address', formatAddress(address)],
    ['name', hostNameOfAddress(address)],
  ]);
}

/** @param why there is nobody. @throws GateError `name-invalid` with it */
function namesOfSomebody(b32: B32 | undefined, why: string): readonly string[] {
  if (b32 !== undefined) return namesOf(b32);
  throw invalid(why);
}

function invalid(why: string): GateError {
  return new GateError('name-invalid', 'address.no-conversion', why);
}
