/** Packets of every kind, and what each gives away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leakOf } from '../../../../src/wire/packet/leak.ts';
import { hex } from '../../kit/support.ts';

const LABEL = 'leaktestabcdefgh234';
const OURS = 'fd60db4dddb5 00010203040506070809';
const ELSEWHERE = '20010db8 000000000000000000000001';
const QUESTION = Buffer.concat([Buffer.alloc(12), Buffer.of(LABEL.length), Buffer.from(LABEL), hex('02 69 32 70 00')]);

function ipv6(next: string, destination: string, payload: Buffer): Buffer {
  return Buffer.concat([hex(`60 00 00 00 00 00 ${next} 40 ${ELSEWHERE} ${destination}`), payload]);
}

function ipv4(protocol: string, payload: Buffer, options = ''): Buffer {
  const first = options === '' ? '45' : '46';
  return Buffer.concat([hex(`${first} 00 00 00 0000 0000 40 ${protocol} 0000 c0000201 c0000202 ${options}`), payload]);
}

/** From port 40000. */
function toPort(port: string, payload: Buffer = QUESTION): Buffer {
  return Buffer.concat([hex(`9c40 ${port} 0000 0000`), payload]);
}

const NAMELESS = Buffer.concat([Buffer.alloc(12), hex('03 777777 07 6578616d706c65 03 636f6d 00')]);
const SHOUTED = Buffer.from(QUESTION.toString('latin1').toUpperCase(), 'latin1');
const SOLICITATION = '87 00 0000 00000000';

const CASES: ReadonlyArray<readonly [what: string, packet: Buffer, leak: ReturnType<typeof leakOf>]> = [
  ['anything for the VPN', ipv6('11', OURS, toPort('0009', Buffer.alloc(3))), 'packet'],
  ['the bare header of one', ipv6('3b', OURS, Buffer.alloc(0)), 'packet'],
  ['a neighbour solicitation for the VPN', ipv6('3a', ELSEWHERE, hex(`${SOLICITATION} ${OURS}`)), 'neighbor'],
  ['one for somebody else', ipv6('3a', ELSEWHERE, hex(`${SOLICITATION} ${ELSEWHERE}`)), undefined],
  ['one that is cut off', ipv6('3a', ELSEWHERE, hex(`${SOLICITATION} fd60db4dddb5`)), undefined],
  ['an echo request that names an address', ipv6('3a', ELSEWHERE, hex(`80 00 0000 00000000 ${OURS}`)), undefined],
  ['DNS over UDP', ipv4('11', toPort('0035')), 'name'],
  ['DNS over UDP and IPv6', ipv6('11', ELSEWHERE, toPort('0035')), 'name'],
  ['DNS behind options of IPv4', ipv4('11', toPort('0035'), '01010101'), 'name'],
  ['DNS over TCP', ipv4('06', toPort('0035', Buffer.concat([hex('0000 0000 5018 0000 0000 0000'), QUESTION]))), 'name'],
  ['multicast DNS', ipv4('11', toPort('14e9')), 'name'],
  ['LLMNR', ipv4('11', toPort('14eb')), 'name'],
  ['a question in capital letters', ipv4('11', toPort('0035', SHOUTED)), 'name'],
  ['a question for another name', ipv4('11', toPort('0035', NAMELESS)), undefined],
  ['the name on its way to a SAM bridge', ipv4('06', toPort('1de8')), undefined],
  ['the name in another protocol', ipv4('01', toPort('0035')), undefined],
  ['an IPv6 header that is cut off', hex('60 00 00 00 00 00 11 40 fd60db4dddb5'), undefined],
  ['an IPv4 header that is cut off', hex('45 00'), undefined],
  ['ports that are cut off', ipv4('11', hex('9c40 00')), undefined],
  ['no IP packet', hex('00 01 08 00 06 04'), undefined],
  ['nothing', Buffer.alloc(0), undefined],
];

for (const [what, packet, leak] of CASES) {
  test(`${what}: ${leak ?? 'nothing'}`, () => assert.equal(leakOf(packet, LABEL), leak));
}
