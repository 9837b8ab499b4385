/** UDP without a kernel: the test is whoever sends to the bound addresses. */
import type { UdpPort, UdpSocket } from '../../src/core/ports.ts';
import type { GateError } from '../../src/kit/errors.ts';
import { formatAddress } from '../../src/wire/i2p/address.ts';
import type { UdpAddress } from '../../src/wire/sam/command.ts';

interface Bound {
  readonly local: UdpAddress;
  take: (bytes: Buffer, from: UdpAddress) => void;
  fail: (error: GateError) => void;
}

export class FakeUdp implements UdpPort {
  readonly bound = new Set<Bound>();
  /** Everything that was sent, in order. */
  readonly sent: Array<{ readonly bytes: Buffer; readonly to: UdpAddress | undefined }> = [];
  /** The next attempts to bind fail so. */
  refuse: GateError | undefined;
  /** Where they do; everywhere unless told. */
  refuses: (address: string, port: number) => boolean = () => true;
  /** The kernel takes no more. */
  full = false;

  async bind(address: string, port: number): Promise<UdpSocket> {
    if (this.refuse !== undefined && this.refuses(address, port)) throw this.refuse;
    const one: Bound = { local: { address, port }, take: () => {}, fail: () => {} };
    this.bound.add(one);
    return {
      local: one.local,
      onDatagram: (take) => {
        one.take = take;
      },
      onError: (fail) => {
        one.fail = fail;
      },
      send: (bytes, to) => {
        if (to?.port === 0) return false;
        if (!this.full) this.sent.push({ bytes, to });
        return !this.full;
      },
      close: () => {
        this.bound.delete(one);
      },
    };
  }

  /** A datagram arrives. @returns whether somebody is bound there */
  receive(bytes: Buffer, to: Uint8Array, port: number, from: Uint8Array, fromPort = 40_000): boolean {
    const address = formatAddress(to);
    const at = [...this.bound].find(({ local }) => local.address === address && local.port === port);
    at?.take(bytes, { address: formatAddress(from), port: fromPort });
    return at !== undefined;
  }
}
