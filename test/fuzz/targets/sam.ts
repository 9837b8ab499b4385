/** What a SAM bridge says: each conversation ends in an outcome or in an error of the router, the same in any pieces. */
import {
  acceptedPeer,
  armAccept,
  connectStream,
  conversationMachine,
  createSession,
  generateKeys,
  hello,
  lookupName,
  receiveControl,
} from '../../../src/wire/sam/conversation.ts';
import { parseForwarded, parseReceived } from '../../../src/wire/sam/datagram.ts';
import { NODE, RECORDED } from '../../unit/wire/sam/replies.ts';
import { inProcess } from '../engine.ts';
import { answerOf, sameInPieces } from '../support.ts';

const CONVERSATIONS = [
  () => conversationMachine(hello()),
  () => conversationMachine(createSession({ id: 's', style: { kind: 'stream' }, keys: 'transient', options: {} })),
  () => conversationMachine(connectStream({ id: 's', destination: 'd', port: 1 })),
  () => conversationMachine(armAccept('s')),
  () => conversationMachine(acceptedPeer()),
  () => conversationMachine(lookupName('x.i2p')),
  () => conversationMachine(generateKeys()),
  () => conversationMachine(receiveControl()),
];
const HELLO = 'HELLO REPLY RESULT=OK VERSION=3.1\n';

export const target = inProcess({
  name: 'sam',
  seeds: [
    ...RECORDED.map(({ line }) => Buffer.from(`\x05${HELLO}${line}\n`, 'latin1')),
    Buffer.from(`\x02${NODE.base64} FROM_PORT=1 TO_PORT=2\npayload`, 'latin1'),
    Buffer.from(`\x07DATAGRAM RECEIVED DESTINATION=${NODE.base64} SIZE=7\npayload`, 'latin1'),
  ],
  run: (input) => {
    const make = CONVERSATIONS[(input[0] ?? 0) % CONVERSATIONS.length];
    if (make !== undefined) sameInPieces(make, input);
    answerOf(() => parseForwarded(input.subarray(1)));
    answerOf(() => parseReceived(input.toString('latin1', 1)));
  },
});
