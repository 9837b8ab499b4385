/**
 * UDP ASSOCIATE (RFC 1928 section 7): a UDP socket beside the client's connection, open for as long as that stands, and
 * for this one client alone.
 */
import ipaddr from 'ipaddr.js';
import type { UdpSocket } from '../../../core/ports.ts';
import type { Timer } from '../../../kit/clock.ts';
import { GateError } from '../../../kit/errors.ts';
import type { UdpAddress } from '../../../wire/sam/command.ts';
import { encodeAssociateReply } from '../../../wire/socks/reply.ts';
import type { AssociateRequest } from '../../../wire/socks/request.ts';
import { sessionFor } from '../isolation.ts';
import type { Serving } from '../serving.ts';
import { countFailure, whileWaiting } from '../waiting.ts';
import { Association } from './association.ts';

const DOING = 'opening a UDP association';

/** Resolves when the client is closed. */
export async function associate(request: AssociateRequest, serving: Serving): Promise<void> {
  const { client, environment, signal, refuse } = serving;
  let open: OpenAssociation;
  try {
    open = await whileWaiting(serving, {
      doing: DOING,
      ms: environment.settings.connectMs,
      late: () => new GateError('local-io', 'socks.udp-late-socket', 'no UDP socket could be opened in time'),
      run: () => openAssociation(request, serving),
      discard: (late) => late.close(),
    });
  } catch (thrown) {
    const isUnserved = thrown instanceof GateError && thrown.kind === 'unsupported';
    return refuse(countFailure(serving, thrown, DOING, isUnserved ? 'protocolError' : 'dialFailed'));
  }
  environment.counts.add('associated');
  const address = Buffer.from(ipaddr.parse(withoutZone(open.local.address)).toByteArray());
  client.write(encodeAssociateReply(address, open.local.port));
  return new Promise((resolve) => {
    const end = () => client.destroy();
    client.once('end', end);
    client.once('close', () => {
      signal.removeEventListener('abort', end);
      open.close();
      resolve();
    });
    // The client has nothing more to say here; what it says all the same is read away, so that its end shows.
    client.resume();
    if (client.destroyed || client.readableEnded) end();
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
    open.onIdle(end);
  });
}

interface OpenAssociation {
  /** Where the client is to send its datagrams. */
  readonly local: UdpAddress;
  readonly close: () => void;
  /** Nothing was sent either way for as long as the listener allows. */
  readonly onIdle: (end: () => void) => void;
}

/** @throws GateError */
async function openAssociation(request: AssociateRequest, serving: Serving): Promise<OpenAssociation> {
  const { asker, facts, origin, environment } = serving;
  const { localAddress } = origin;
  const { access, names, settings, udp } = environment;
  const { clientAddress } = facts;
  if (udp === undefined) throw new GateError('unsupported', 'socks.udp-off', 'this listener does not serve UDP');
  if (clientAddress === undefined || localAddress === undefined) {
    // Nothing would tell this client's datagrams from those of any other program.
    throw new GateError('unsupported', 'socks.udp-unix', 'UDP is not served to clients of a unix socket');
  }
  const giveBack = udp.slots.take();
  if (giveBack === undefined) {
    throw new GateError('limit', 'socks.udp-limit', 'all UDP associations are taken; see udp_associations');
  }
  let socket: UdpSocket | undefined;
  try {
    // On the very address that the client has reached us by, and so of its family.
    socket = await udp.sockets.bind(localAddress, 0);
    const bound = socket;
    const lock = sourceLock(clientAddress, request.port);
    const activity = idleWatch(serving);
    const { isolate } = settings.isolation;
    const oneSession = !isolate.has('destination') && !isolate.has('port');
    const association = new Association({
      environment: udp.environment,
      settings: udp.settings,
      counts: {
        add: (name, count) => (name === 'dnsLeak' ? environment.counts.add(name, count) : udp.counts.add(name, count)),
      },
      access,
      asker,
      meaningOf: (target) => names.meaningOf(target, asker),
      mappedName: (target) => names.mappedName(target, asker),
      sessionFor: (target, port) => sessionFor(facts, { target, port }, settings.isolation),
      oneSession,
      // The same port on several destinations would say that they are one client's.
      wantedPort: oneSession ? request.port : 0,
      toClient: (bytes) => {
        const to = lock.client();
        if (to === undefined) return 'clientUnknown';
        activity.touch();
        return bound.send(bytes, to) ? 'received' : 'busy';
      },
    });
    bound.onError(() => udp.counts.add('kernelRefused'));
    bound.onDatagram((bytes, from) => {
      if (!lock.admits(from)) {
        udp.counts.add('foreignSource');
        return;
      }
      activity.touch();
      association.fromClient(bytes);
    });
    return {
      local: bound.local,
      onIdle: activity.onIdle,
      close: () => {
        activity.stop();
        association.close();
        bound.close();
        giveBack();
      },
    };
  } catch (error) {
    socket?.close();
    giveBack();
    throw error;
  }
}

/** Datagrams count only from the address of the client's connection, and from one port: announced, or the first that it uses. */
function sourceLock(address: string, announcedPort: number) {
  let port = announcedPort;
  return {
    admits: (from: UdpAddress): boolean => {
      if (from.address !== address) return false;
      if (port === 0) port = from.port;
      return from.port === port;
    },
    /** Undefined while it is not known where the client listens. */
    client: (): UdpAddress | undefined => (port === 0 ? undefined : { address, port }),
  };
}

/** One timer at a time, however many datagrams there are. */
function idleWatch({ environment: { clock, settings } }: Serving) {
  const { idleMs } = settings;
  let lastAt = clock.now();
  let timer: Timer | undefined;
  return {
    touch: () => {
      lastAt = clock.now();
    },
    onIdle: (end: () => void) => {
      if (idleMs === 0) return;
      const look = () => {
        const left = lastAt + idleMs - clock.now();
        if (left <= 0) end();
        else timer = clock.after(left, look);
      };
      timer = clock.after(idleMs, look);
    },
    stop: () => timer?.cancel(),
  };
}

/** `fe80::1%eth0` is `fe80::1` in a reply. */
function withoutZone(address: string): string {
  return address.replace(/%.*$/, '');
}
