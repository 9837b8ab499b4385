/**
 * Whom one association exchanges datagrams with, by the address that its client knows them under. The address has 80 bits
 * of their destination and identifies nobody, so each is pinned to the whole destination that had it first.
 */
import type { Attachment } from '../../../core/datagram/session.ts';
import type { DialTarget } from '../../../core/dial/target.ts';
import { type Address, addressesOf, addressKey } from '../../../wire/i2p/address.ts';
import type { B32, Destination } from '../../../wire/i2p/destination.ts';

export interface Correspondent {
  readonly destination: Destination;
  readonly address: Address;
  /** Whose datagrams these are: an answer goes out under the identity that the other side knows. */
  via: Attachment;
  /** The port that the client last sent to; 0 while it has not. */
  port: number;
  /** Whether the client has ever sent to it, which it could do only where the lists of its listener admit it. */
  asked: boolean;
}

export class Correspondents {
  /** The oldest first. */
  readonly #byAddress = new Map<string, Correspondent>();
  /** Addresses of the VPN that the client has sent to. The oldest first. */
  readonly #vpnAsked = new Set<string>();
  readonly #most: number;
  readonly #isTaken: (address: string) => boolean;

  /**
   * @param most remembered at one time; one that the client never asked for is forgotten before one that it did
   * @param isTaken whether an address (as `addressKey` writes it) belongs to the VPN, and so to no correspondent
   */
  constructor(most: number, isTaken: (address: string) => boolean) {
    this.#most = most;
    this.#isTaken = isTaken;
  }

  byAddress(address: Address): Correspondent | undefined {
    return this.#byAddress.get(addressKey(address));
  }

  /** Who is known to be meant by a target, before any name is looked up. */
  find(target: DialTarget): Correspondent | undefined {
    switch (target.kind) {
      case 'address':
        return this.byAddress(target.address);
      case 'b32':
        return this.#byB32(target.b32);
      case 'destination':
        return this.#byB32(target.destination.b32);
      case 'host':
      case 'b33':
      case 'peer':
        return undefined;
      default:
        return target satisfies never;
    }
  }

  /** Whether it is known of a target that the client has sent to it. */
  wasAsked(target: DialTarget): boolean {
    if (target.kind === 'address' && this.#vpnAsked.has(addressKey(target.address))) return true;
    return this.find(target)?.asked === true;
  }

  /** The client sends to an address of the VPN. */
  recordSentToVpn(address: Address): void {
    const key = addressKey(address);
    this.#vpnAsked.delete(key);
    const [oldest] = this.#vpnAsked;
    if (this.#vpnAsked.size >= this.#most && oldest !== undefined) this.#vpnAsked.delete(oldest);
    this.#vpnAsked.add(key);
  }

  /** The client sends to it. @returns undefined when another destination has its address */
  recordSent(destination: Destination, port: number, via: Attachment): Correspondent | undefined {
    const one = this.#pin(destination, via);
    if (one === undefined) return undefined;
    one.asked = true;
    one.port = port;
    one.via = via;
    return one;
  }

  /** It has sent to the client. @returns undefined when another destination has its address */
  recordReceived(destination: Destination, via: Attachment): Correspondent | undefined {
    const one = this.#pin(destination, via);
    if (one !== undefined) one.via = via;
    return one;
  }

  #byB32(b32: B32): Correspondent | undefined {
    const one = this.byAddress(addressesOf(b32).oc);
    return one?.destination.b32 === b32 ? one : undefined;
  }

  #pin(destination: Destination, via: Attachment): Correspondent | undefined {
    const { oc: address } = addressesOf(destination.b32);
    const key = addressKey(address);
    const known = this.#byAddress.get(key);
    if (known !== undefined) {
      if (known.destination.b32 !== destination.b32) return undefined;
      this.#byAddress.delete(key);
      this.#byAddress.set(key, known);
      return known;
    }
    if (this.#isTaken(key)) return undefined;
    if (this.#byAddress.size >= this.#most) this.#forgetOne();
    const fresh: Correspondent = { destination, address, via, port: 0, asked: false };
    this.#byAddress.set(key, fresh);
    return fresh;
  }

  #forgetOne(): void {
    let oldest: string | undefined;
    for (const [key, { asked }] of this.#byAddress) {
      oldest ??= key;
      if (asked) continue;
      oldest = key;
      break;
    }
    if (oldest !== undefined) this.#byAddress.delete(oldest);
  }
}
