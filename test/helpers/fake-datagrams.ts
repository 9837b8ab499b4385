/** UDP without a kernel: the test is whoever sends to the bound addresses. */
import type { DatagramPort, Datagrams } from '../../src/core/ports.ts';
import type { GateError } from '../../src/kit/errors.ts';
import type { Address } from '../../src/wire/i2p/address.ts';

interface Bound {
  readonly address: Address;
  readonly port: number;
  take: (bytes: Buffer, from: Buffer, port: number) => void;
}

export class FakeDatagrams implements DatagramPort {
  readonly bound = new Set<Bound>();
  /** Everything that was sent, in order. */
  readonly sent: Array<{ readonly bytes: Buffer; readonly to: Buffer; readonly port: number }> = [];
  /** The next attempts to bind fail so. */
  refuse: GateError | undefined;

  async bind(address: Address, port: number): Promise<Datagrams> {
    if (this.refuse !== undefined) throw this.refuse;
    const one: Bound = { address, port, take: () => {} };
    this.bound.add(one);
    return {
      onDatagram: (take) => {
        one.take = take;
      },
      send: (bytes, to, toPort) => {
        this.sent.push({ bytes, to, port: toPort });
      },
      close: async () => {
        this.bound.delete(one);
      },
    };
  }

  /** A datagram arrives. @returns whether somebody is bound there */
  receive(bytes: Buffer, to: Address, port: number, from: Buffer, fromPort = 40_000): boolean {
    const at = [...this.bound].find((one) => one.address.equals(to) && one.port === port);
    at?.take(bytes, from, fromPort);
    return at !== undefined;
  }
}
