/**
 * Whom the client of one association may write to and hear from, by the lists of its listener. As for CONNECT, but for
 * two things: there are answers, so whom the client has asked may answer and be answered by whatever name; and behind an
 * address may be somebody who has written to the client, and is judged as who that is.
 */
import type { DialTarget } from '../../../core/dial/target.ts';
import type { MappedName } from '../../../core/naming/addresses.ts';
import type { GateError } from '../../../kit/errors.ts';
import type { Address } from '../../../wire/i2p/address.ts';
import type { B32 } from '../../../wire/i2p/destination.ts';
import { hostNameOf } from '../../../wire/i2p/hostname.ts';
import type { UdpRequest } from '../../../wire/socks/datagram.ts';
import type { Access } from '../access.ts';
import { judge, type RequestVerdict } from '../policy.ts';
import type { Correspondents } from './correspondents.ts';

export interface DatagramAdmissionParts {
  readonly access: Omit<Access, 'admitsClient'>;
  /** An address that was told to the client becomes what it was told for; everything else stays. */
  readonly meaningOf: (target: DialTarget) => DialTarget;
  readonly mappedName: (target: DialTarget) => MappedName | undefined;
  readonly correspondents: Correspondents;
}

type DatagramTarget = Pick<Extract<UdpRequest, { kind: 'datagram' }>, 'host' | 'port'>;

export class DatagramAdmission {
  readonly #parts: DatagramAdmissionParts;

  constructor(parts: DatagramAdmissionParts) {
    this.#parts = parts;
  }

  /** Of a datagram of the client. */
  judge(asked: DatagramTarget): RequestVerdict {
    const { meaningOf } = this.#parts;
    const verdict = judge(asked, (target) => this.#objection(target, asked.port));
    return verdict.kind === 'allowed' ? { ...verdict, target: meaningOf(verdict.target) } : verdict;
  }

  /** Whether the client may have a name that turned out to be this destination. */
  mayBe(host: string, b32: B32): boolean {
    const { access, correspondents } = this.#parts;
    return correspondents.wasAsked({ kind: 'b32', b32 }) || access.objectionTo(host, b32) === undefined;
  }

  /** Whether the client may hear what comes from this destination. */
  mayHear(b32: B32): boolean {
    return this.mayBe(hostNameOf(b32), b32);
  }

  /** The same for what comes from an address of the VPN. */
  mayHearVpn(address: Address): boolean {
    const { access, correspondents } = this.#parts;
    const source = { kind: 'address', address } as const;
    return correspondents.wasAsked(source) || access.objection(source, undefined) === undefined;
  }

  #objection(asked: DialTarget, port: number): GateError | undefined {
    const { access, correspondents, meaningOf, mappedName } = this.#parts;
    const target = meaningOf(asked);
    const known = correspondents.find(target);
    // Through i2pd whoever writes shows port 0, which an answer names for want of another, and no rule can.
    const named = port === 0 && known !== undefined ? undefined : port;
    // It was judged when it was asked, by the name that it was asked by.
    if (correspondents.wasAsked(target)) return access.objectionToPort(named);
    const mapped = mappedName(asked);
    return mapped === undefined
      ? access.objection(target, named, known?.destination.b32)
      : access.objectionToMapped(mapped, named);
  }
}
