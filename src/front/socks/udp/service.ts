/** What a listener that serves UDP ASSOCIATE has for it. */
import type { UdpPort } from '../../../core/ports.ts';
import type { Slots } from '../../../kit/slots.ts';
import type { Tally } from '../../../kit/tally.ts';
import type { AssociationEnvironment, AssociationSettings } from './association.ts';
import type { UdpCounter } from './counters.ts';

export interface UdpService {
  readonly environment: AssociationEnvironment;
  readonly settings: AssociationSettings;
  /** Towards clients. */
  readonly sockets: UdpPort;
  /** For the associations of this listener, inside those for all. */
  readonly slots: Slots;
  readonly counts: Tally<UdpCounter>;
}
