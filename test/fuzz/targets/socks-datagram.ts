/** What comes to the UDP port of a SOCKS association: any bytes are a datagram, read to its last byte, or refused whole. */
import { encodeUdpReply, parseUdpRequest, type UdpRequest } from '../../../src/wire/socks/datagram.ts';
import { inProcess } from '../engine.ts';

const seed = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const NAME = Buffer.from('ktmhezukbp6jyuldedcjmso6p4e6aegeikqli2mne67hnttgmvfa.b32.i2p');

export const target = inProcess({
  name: 'socks-datagram',
  seeds: [
    seed('000000 01 7f000001 0035 6162'),
    seed('000000 04 fd60db4dddb554d872668a0bfc9c5163 1f90'),
    Buffer.concat([seed('000000 03'), Buffer.of(NAME.length), NAME, seed('0050'), Buffer.from('hi')]),
    seed('000001 03 01 61 0050 62'),
    seed('000000 03 00 0050 62'),
    seed('000000 05 00'),
  ],
  run: (input) => {
    const request = parseUdpRequest(input);
    const [expected, shown] = [readPlainly(input), JSON.stringify(request)];
    if (shown !== JSON.stringify(expected)) throw new Error(`${shown} instead of ${JSON.stringify(expected)}`);
    if (request.kind === 'datagram') comesBack(request);
  },
});

/** The second opinion: the header of RFC 1928 section 7, piece by piece. */
function readPlainly(input: Buffer): UdpRequest {
  const left = [...input];
  const take = (count: number) => (left.length < count ? undefined : Buffer.from(left.splice(0, count)));
  const [head, nothing] = [take(4), { kind: 'malformed' } as const];
  if (head === undefined) return nothing;
  if (head[2] !== 0) return { kind: 'fragment' };
  const length = { 1: 4, 3: take(head[3] === 3 ? 1 : 0)?.[0], 4: 16 }[head[3] ?? 0];
  const host = length === undefined || length === 0 ? undefined : take(length);
  const port = host === undefined ? undefined : take(2);
  if (host === undefined || port === undefined) return nothing;
  const payload = Buffer.from(left);
  const at = port.readUInt16BE();
  if (head[3] === 3)
    return { kind: 'datagram', host: { kind: 'name', name: host.toString('latin1') }, port: at, payload };
  return { kind: 'datagram', host: { kind: head[3] === 1 ? 'ipv4' : 'ipv6', bytes: host }, port: at, payload };
}

/** An answer from there is read as the same by the other side, which reads as we do. */
function comesBack({ host, port, payload }: UdpRequest & { kind: 'datagram' }): void {
  if (host.kind === 'ipv4') return;
  const again = parseUdpRequest(encodeUdpReply(host, port, payload));
  const sent: UdpRequest = { kind: 'datagram', host, port, payload };
  if (JSON.stringify(again) !== JSON.stringify(sent))
    throw new Error(`sent ${JSON.stringify(sent)}, and read otherwise`);
}
