/**
 * `garligate address`: converts between the forms in which a gateway is named. Needs no running gateway: what a name does
 * not tell by itself is looked up in the config file.
 */
import { b32Of } from '../config/rules.ts';
import { loadConfig } from '../io/config-file.ts';
import { readKeys } from '../io/key-file.ts';
import type { Places } from '../io/places.ts';
import { GateError } from '../kit/errors.ts';
import { type Address, addressesOf, addressKey, formatAddress, shortNameOf } from '../wire/i2p/address.ts';
import type { B32 } from '../wire/i2p/destination.ts';
import { classifyTyped } from '../wire/i2p/hostname.ts';
import { type Terminal, table } from './terminal.ts';

/**
 * Prints the own names, or those of each of `names`.
 *
 * @throws GateError
 */
export async function address(
  names: readonly string[],
  config: string | undefined,
  places: Places,
  terminal: Terminal,
): Promise<void> {
  if (names.length === 0) {
    const loaded = await loadConfig(config, places);
    terminal.print(...namesOf((await readKeys(loaded.config.identity.key_file)).destination.b32));
    return;
  }
  const answers: (readonly string[])[] = [];
  for (const name of names) answers.push(await convert(name, () => namedIn(config, places)));
  terminal.print(...answers.flatMap((lines, at) => (at === 0 ? lines : ['', ...lines])));
}

export function namesOf(b32: B32): readonly string[] {
  const { oc, ocat4 } = addressesOf(b32);
  return table([
    ['b32', `${b32}.b32.i2p`],
    ['address', formatAddress(oc)],
    ['name', `${shortNameOf(oc)}.oc.b32.i2p`],
    ['ocat4', formatAddress(ocat4)],
  ]);
}

/** The destinations that the config file names. */
interface NamedDestinations {
  /** By the name of the peer, in lower case. */
  readonly peers: ReadonlyMap<string, B32>;
  /** By a name under .i2p. */
  readonly aliases: ReadonlyMap<string, B32>;
}

/** @throws GateError */
async function namedIn(file: string | undefined, places: Places): Promise<NamedDestinations> {
  const { config } = await loadConfig(file, places);
  return {
    peers: new Map(config.peer.map(({ name, destination }) => [name.toLowerCase(), b32Of(destination)])),
    aliases: new Map(Object.entries(config.names).map(([name, destination]) => [name, b32Of(destination)])),
  };
}

/**
 * @param text the name of a peer, with or without `.peer.b32.i2p`; a b32 name, with or without `.b32.i2p`; a base64
 *   destination; `<16>.oc.b32.i2p`; an address of the VPN; or a name of the config file's [names]
 * @throws GateError `name-invalid`, or what `named` throws
 */
async function convert(text: string, named: () => Promise<NamedDestinations>): Promise<readonly string[]> {
  const host = classifyTyped(text);
  switch (host.kind) {
    case 'b32':
      return namesOf(host.b32);
    case 'destination':
      return namesOf(host.destination.b32);
    case 'address':
      return namesBehind(host.address, await named());
    case 'peer':
      return namesOfSomebody((await named()).peers.get(host.name), 'no [[peer]] of the config file has this name');
    case 'b33':
      throw invalid('the name of an encrypted lease set has no address');
    case 'address-book': {
      const { aliases, peers } = await named();
      const why = 'only a router knows the destination behind this name; its b32 name is wanted';
      return namesOfSomebody(aliases.get(host.host) ?? peers.get(text.toLowerCase()), why);
    }
    case 'foreign': {
      const why = 'this is not a name or address inside I2P, nor the name of a [[peer]] of the config file';
      return namesOfSomebody((await named()).peers.get(text.toLowerCase()), why);
    }
    default:
      return host satisfies never;
  }
}

/** 80 bits do not tell a destination: only a peer's can be named. */
function namesBehind(address: Address, { peers }: NamedDestinations): readonly string[] {
  const key = addressKey(address);
  const owner = [...peers.values()].find((b32) => {
    const { oc, ocat4 } = addressesOf(b32);
    return addressKey(oc) === key || addressKey(ocat4) === key;
  });
  if (owner !== undefined) return namesOf(owner);
  return table([
    ['address', formatAddress(address)],
    ['name', `${shortNameOf(address)}.oc.b32.i2p`],
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
