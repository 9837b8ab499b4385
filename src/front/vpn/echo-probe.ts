/**
 * Echo requests of our own to peers, and their answers as they pass on their way to the TUN. The kernel, which has not
 * asked, throws the answers away.
 */
import type { PacketRun } from '../../core/ports.ts';
import type { Address } from '../../wire/i2p/address.ts';
import { echoRequest, isEchoReply } from '../../wire/packet/echo.ts';
import { HEADER_LENGTH, hasAddressAt, packetLength, SOURCE_OFFSET } from '../../wire/packet/ipv6.ts';

interface PendingEcho {
  readonly to: Address;
  readonly sequence: number;
  readonly answered: () => void;
}

export class EchoProbe {
  readonly #identifier: number;
  readonly #waiting = new Set<PendingEcho>();
  #sequence = 0;

  /** @param identifier 16 bits, as little like that of another program as can be */
  constructor(identifier: number) {
    this.#identifier = identifier;
  }

  /**
   * @param from of our two addresses
   * @returns a request to be sent, and how to wait for its answer no longer
   */
  ask(from: Address, to: Address, answered: () => void): { readonly request: Buffer; readonly forget: () => void } {
    this.#sequence = (this.#sequence + 1) & 0xffff;
    const waiting: PendingEcho = { to, sequence: this.#sequence, answered };
    this.#waiting.add(waiting);
    return {
      request: echoRequest(from, to, this.#identifier, waiting.sequence),
      forget: () => void this.#waiting.delete(waiting),
    };
  }

  /** Looks at packets from peers, which have been judged. Costs nothing while nobody waits. */
  see(run: PacketRun): void {
    if (this.#waiting.size === 0) return;
    for (let at = 0; at < run.length; ) {
      const end = at + packetLength(run, at);
      this.#look(run.subarray(at, end));
      at = end;
    }
  }

  #look(packet: Buffer): void {
    if (!isEchoReply(packet) || packet.readUInt16BE(HEADER_LENGTH + 4) !== this.#identifier) return;
    const sequence = packet.readUInt16BE(HEADER_LENGTH + 6);
    for (const one of this.#waiting) {
      if (one.sequence === sequence && hasAddressAt(packet, SOURCE_OFFSET, one.to)) one.answered();
    }
  }
}
