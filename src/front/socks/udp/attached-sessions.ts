/** The datagram sessions that one association uses: one as a rule, more where isolation keeps destinations apart. */
import type { Attachment, DatagramSession } from '../../../core/datagram/session.ts';
import { keyText, type SessionKey } from '../../../core/session/key.ts';
import type { SamDatagram } from '../../../wire/sam/datagram.ts';

/** What an association needs of the sessions of the gateway. */
export interface DatagramLeases {
  /** @throws GateError `limit` */
  lease(key: SessionKey): {
    readonly session: Pick<DatagramSession, 'attach' | 'open'>;
    readonly release: () => void;
  };
}

/** One association must not take every session that there may be. */
const MOST = 4;

interface AttachedSession {
  readonly attachment: Attachment;
  readonly release: () => void;
}

export class AttachedSessions {
  readonly #leases: DatagramLeases;
  readonly #wantedPort: number;
  readonly #take: (datagram: SamDatagram, via: Attachment) => void;
  /** By key, the one that has been of no use for longest first. */
  readonly #attached = new Map<string, AttachedSession>();

  /** @param wantedPort the I2P port to have where it is free; 0 for any */
  constructor(leases: DatagramLeases, wantedPort: number, take: (datagram: SamDatagram, via: Attachment) => void) {
    this.#leases = leases;
    this.#wantedPort = wantedPort;
    this.#take = take;
  }

  /** @throws GateError `limit` when no further session may be opened */
  at(key: SessionKey): Attachment {
    const text = keyText(key);
    const one = this.#attached.get(text) ?? this.#attach(key);
    this.#attached.delete(text);
    this.#attached.set(text, one);
    return one.attachment;
  }

  leaveAll(): void {
    for (const one of this.#attached.values()) leave(one);
    this.#attached.clear();
  }

  #attach(key: SessionKey): AttachedSession {
    const [oldest] = this.#attached;
    if (this.#attached.size >= MOST && oldest !== undefined) {
      this.#attached.delete(oldest[0]);
      leave(oldest[1]);
    }
    const { session, release } = this.#leases.lease(key);
    try {
      const attachment = session.attach(this.#wantedPort, (datagram) => this.#take(datagram, attachment));
      session.open();
      return { attachment, release };
    } catch (error) {
      release();
      throw error;
    }
  }
}

function leave({ attachment, release }: AttachedSession): void {
  attachment.detach();
  release();
}
