/** Host names of clients and of configs: any text is of one kind or refused, and what is handed on means the same again. */
import { formatAddress } from '../../../src/wire/i2p/address.ts';
import {
  classifyHost,
  classifyTyped,
  type HostName,
  hostNameOf,
  hostNameOfAddress,
  hostNameOfPeer,
} from '../../../src/wire/i2p/hostname.ts';
import { generateKeys } from '../../helpers/fake-bridge/keys.ts';
import { inProcess } from '../engine.ts';
import { answerOf } from '../support.ts';

const DESTINATION = generateKeys().destination;

/** As it is written from then on; nothing where nobody is asked for it. */
function writtenAgain(name: HostName): readonly string[] {
  switch (name.kind) {
    case 'address':
      return [formatAddress(name.address), `[${formatAddress(name.address)}]`, hostNameOfAddress(name.address)];
    case 'b32':
      return [hostNameOf(name.b32)];
    case 'b33':
    case 'address-book':
      return [name.host];
    case 'peer':
      return [hostNameOfPeer(name.name)];
    case 'destination':
      return [name.destination.base64];
    case 'foreign':
      return [];
  }
}

export const target = inProcess({
  name: 'names',
  seeds: [
    Buffer.from(hostNameOf(DESTINATION.b32)),
    Buffer.from(DESTINATION.b32),
    Buffer.from(DESTINATION.base64),
    Buffer.from(`${'b33'.repeat(20).slice(0, 56)}.b32.i2p`),
    Buffer.from('54ogmi6a77mcf4xh.oc.b32.i2p'),
    Buffer.from('Alice.peer.b32.i2p'),
    Buffer.from('web.i2p.'),
    Buffer.from('[fd60:db4d:ddb5:54d8:7266:8a0b:fc9c:5163]'),
    Buffer.from('0x7f.1'),
    Buffer.from('example.onion'),
  ],
  run: (input) => {
    const text = input.toString('latin1');
    answerOf(() => classifyTyped(text));
    const name = answerOf(() => classifyHost(text));
    if (typeof name === 'string') return;
    if (name.kind === 'foreign' && /\.i2p\.?$/i.test(text)) throw new Error(`${text} would leave I2P`);
    for (const again of writtenAgain(name)) {
      const meaning = classifyHost(again);
      if (JSON.stringify(meaning) !== JSON.stringify(name)) {
        throw new Error(`${JSON.stringify(name)} was read, and ${JSON.stringify(meaning)} when written again`);
      }
    }
    const other = answerOf(() => classifyHost(text.toUpperCase()));
    if (name.kind !== 'destination' && JSON.stringify(other) !== JSON.stringify(name)) {
      throw new Error(`${JSON.stringify(name)} was read, and ${JSON.stringify(other)} in capitals`);
    }
  },
});
