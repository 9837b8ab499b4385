/** What a SOCKS client says, or one that speaks HTTP CONNECT: any bytes end in a request or in a refusal, the same in any pieces. */
import type { Machine } from '../../../src/kit/step.ts';
import {
  type Authentication,
  loggedInMachine,
  type SocksHandshake,
  type SocksLogin,
  socksMachine,
} from '../../../src/wire/socks/handshake.ts';
import { inProcess } from '../engine.ts';
import { sameInPieces } from '../support.ts';

const seed = (text: string) => Buffer.from(`05${text.replaceAll(' ', '')}`, 'hex');
const NAME = Buffer.from('ktmhezukbp6jyuldedcjmso6p4e6aegeikqli2mne67hnttgmvfa.b32.i2p').toString('hex');

const AUTHENTICATIONS: readonly Authentication[] = ['preferred', 'avoided', 'required'];

/** As a listener that serves users, all of whom there are. */
function everybodyIsAUser(authentication: Authentication): Machine<SocksHandshake | SocksLogin> {
  let machine: Machine<SocksHandshake | SocksLogin> = socksMachine({ httpConnect: true }, authentication);
  return {
    step: (input) => {
      const step = machine.step(input);
      if (step.kind !== 'done' || step.out.kind !== 'login') return step;
      machine = loggedInMachine(step.out);
      // It has its answer to send first, and takes what came behind the credentials in with that.
      return machine.step(step.rest);
    },
  };
}

export const target = inProcess({
  name: 'socks',
  seeds: [
    seed(`050100 05010003 3c${NAME} 0050 6869`),
    seed(`0502 0002 01 0161 0162 05010003 3c${NAME} 0050`),
    seed(`0401 0050 00000001 61 00 ${NAME} 00`),
    seed('0401 0050 7f000001 00'),
    seed('050100 05010004 fd60db4dddb554d872668a0bfc9c5163 0050'),
    seed('050100 05010001 7f000001 0050'),
    seed('050100 05030001 00000000 0000'),
    Buffer.from('\x05CONNECT x.i2p:80 HTTP/1.1\r\nProxy-Authorization: Basic dTpw\r\n\r\nhi', 'latin1'),
    Buffer.from('\x05GET http://x.i2p/ HTTP/1.1\r\nHost: x.i2p\r\n\r\n', 'latin1'),
  ],
  run: (input) => {
    for (const authentication of AUTHENTICATIONS) sameInPieces(() => everybodyIsAUser(authentication), input);
  },
});
