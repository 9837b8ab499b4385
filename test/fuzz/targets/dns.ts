/** Questions of OnionCats: any bytes end in no answer or in one about us, never longer than question and record. */
import { answerQuery } from '../../../src/wire/dns/ptr.ts';
import { addressesOf } from '../../../src/wire/i2p/address.ts';
import { parseB32 } from '../../../src/wire/i2p/destination.ts';
import { inProcess } from '../engine.ts';

const NAME = parseB32('j3dtidfppd6mkxecq6cz7raw44auavkmihlvuqb4fea7qcwuqtua');
const ADDRESS = addressesOf(NAME).ocat4;
const LONGEST_RECORD = 74;

function question(address: Buffer, head: string): Buffer {
  const labels = [...address.toString('hex')].reverse().map((digit) => `\x01${digit}`);
  const name = Buffer.from(`${labels.join('')}\x03ip6\x04arpa\0\0\x0c\0\x01`, 'latin1');
  return Buffer.concat([Buffer.from(head, 'hex'), name]);
}

export const target = inProcess({
  name: 'dns',
  seeds: [
    question(ADDRESS, '04c200000001000000000000'),
    question(Buffer.alloc(16), 'dec301000001000000000000'),
    Buffer.concat([question(ADDRESS, '04c200000001000000000001'), Buffer.from('00002904d0000000000000', 'hex')]),
    Buffer.from('04c200000001000000000001', 'hex'),
    Buffer.from('04c200000001000000000000c00c000c0001', 'hex'),
  ],
  run: (input) => {
    const outcome = answerQuery(input, (address) => (address.equals(ADDRESS) ? NAME : undefined));
    if (outcome.kind === 'ignored') return;
    const { reply } = outcome;
    if (((reply[2] ?? 0) & 0x80) === 0) throw new Error('the answer looks like a question');
    if (!reply.subarray(0, 2).equals(input.subarray(0, 2))) throw new Error('the answer is to another question');
    if (reply.length > input.length + LONGEST_RECORD) throw new Error('the answer says more than it was asked');
    if (reply.includes(NAME) !== (outcome.kind === 'answered')) throw new Error('a name in the wrong answer');
  },
});
