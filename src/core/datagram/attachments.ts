/**
 * Who gets a datagram that came to a session which several use: the one whose I2P port it names; where it names none, as
 * always on a router that carries no ports, the one who last sent to its sender; and else the only one there is.
 */

import { freePort } from '../session/free-port.ts';

export interface Attached {
  /** Its I2P port, 1 to 65535, not that of any other. */
  readonly port: number;
}

/** `nobody`: no one has that port, or no one is there. `ambiguous`: several are there, and nothing tells which is meant. */
export type Choice<One> = One | 'nobody' | 'ambiguous';

/** Destinations of which it is known who sent to them last. */
const REMEMBERED = 1024;
export class Attachments<One extends Attached> {
  readonly #byPort = new Map<number, One>();
  /** By the receiver's b32 name, the oldest first. */
  readonly #lastSender = new Map<string, One>();

  get size(): number {
    return this.#byPort.size;
  }

  /**
   * @param wanted the port to have if nobody has it, as NAT does it; 0 for any
   * @param make of the port that is given
   * @throws GateError `limit` when there is no port left
   */
  add(wanted: number, make: (port: number) => One): One {
    const one = make(freePort(this.#byPort, wanted));
    this.#byPort.set(one.port, one);
    return one;
  }

  remove(one: One): void {
    if (this.#byPort.get(one.port) !== one) return;
    this.#byPort.delete(one.port);
    for (const [b32, sender] of this.#lastSender) if (sender === one) this.#lastSender.delete(b32);
  }

  sent(one: One, b32: string): void {
    this.#lastSender.delete(b32);
    const oldest = this.#lastSender.keys().next();
    if (this.#lastSender.size >= REMEMBERED && !oldest.done) this.#lastSender.delete(oldest.value);
    this.#lastSender.set(b32, one);
  }

  /** @param toPort as the router says it, 0 for none */
  receiver(senderB32: string, toPort: number): Choice<One> {
    if (toPort !== 0) return this.#byPort.get(toPort) ?? 'nobody';
    const correspondent = this.#lastSender.get(senderB32);
    if (correspondent !== undefined) return correspondent;
    if (this.#byPort.size > 1) return 'ambiguous';
    const [only] = this.#byPort.values();
    return only ?? 'nobody';
  }
}
