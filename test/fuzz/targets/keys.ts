/** Key files and destinations: any text is a key or refused, and the refusal never quotes it. */

import { GateError } from '../../../src/kit/errors.ts';
import { parseDestination, parsePrivateKeys } from '../../../src/wire/i2p/destination.ts';
import { generateKeys } from '../../helpers/fake-bridge/keys.ts';
import { inProcess } from '../engine.ts';

const KEYS = generateKeys();

export const target = inProcess({
  name: 'keys',
  seeds: [
    Buffer.from(KEYS.blob),
    Buffer.from(KEYS.destination.base64),
    Buffer.from(`${KEYS.blob}\n`),
    Buffer.from('=~-'),
  ],
  run: (input) => {
    const text = input.toString('latin1');
    for (const parse of [parsePrivateKeys, parseDestination]) {
      try {
        parse(text);
      } catch (error) {
        if (!(error instanceof GateError) || error.kind !== 'name-invalid') throw error;
        if (text.length >= 16 && error.message.includes(text.slice(0, 16)))
          throw new Error('the refusal quotes the key');
      }
    }
  },
});
