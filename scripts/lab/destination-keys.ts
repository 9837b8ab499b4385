/** Keys of I2P destinations in the forms that the lab's routers and gateways want, made by the product's own generator. */
import { generateKeys as newKeys } from '../../src/io/key-generate.ts';
import { decodeBase64 } from '../../src/wire/i2p/base64.ts';
import type { Destination } from '../../src/wire/i2p/destination.ts';

export type DestinationKeys = {
  readonly destination: Destination;
  /** The blob as i2pd keeps it in a `.dat` file. */
  readonly file: Buffer;
  /** The same in I2P base64: what SESSION CREATE takes and what a key file of the gateway holds. */
  readonly base64: string;
};

export function generateKeys(): DestinationKeys {
  const { destination, blob } = newKeys();
  const base64 = blob.reveal();
  return { destination, file: decodeBase64(base64), base64 };
}
