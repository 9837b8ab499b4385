/** STREAM CONNECT, ACCEPT and FORWARD. */
import type { B32 } from '../../../src/wire/i2p/destination.ts';
import { type Answer, STREAM_OK } from './answers.ts';
import type { Command } from './command.ts';
import type { Connection } from './connection.ts';
import { resolve } from './names.ts';
import type { Router } from './router.ts';
import type { FakeSession } from './session.ts';
import { FakeStream, type StreamPath } from './stream.ts';

const OK: Answer = { text: STREAM_OK, after: 'stay' };

interface Asked {
  readonly session: FakeSession;
  readonly silent: boolean;
}

export function acceptStream(router: Router, connection: Connection, command: Command): void {
  const asked = sessionFor(router, connection, command, router.temperament.answers.streamIdMissing);
  if (asked === undefined) return;
  connection.role = { kind: 'accept', session: asked.session };
  connection.answer(OK, asked.silent);
  asked.session.arm(connection, asked.silent);
}

export function forwardStreams(router: Router, connection: Connection, command: Command): void {
  const { answers } = router.temperament;
  const asked = sessionFor(router, connection, command, answers.forwardIdMissing);
  if (asked === undefined) return;
  if (asked.session.accepting) {
    connection.answer(answers.alreadyForwarding);
    return;
  }
  connection.role = { kind: 'forward', session: asked.session };
  connection.answer(OK);
  asked.session.forward(connection, Number(command.values.get('PORT')), asked.silent);
}

export function connectStream(router: Router, connection: Connection, command: Command): void {
  const { answers } = router.temperament;
  const asked = sessionFor(router, connection, command, answers.streamIdMissing);
  if (asked === undefined) return;
  const text = command.values.get('DESTINATION') ?? '';
  const refuse = (answer: Answer) => connection.answer(answer, asked.silent);
  connection.role = { kind: 'connecting' };
  const target = resolve(router, text);
  switch (target.kind) {
    case 'destination':
      connectTo(router, connection, asked, target.b32);
      return;
    case 'b32-unknown':
      if (router.network.absence(target.b32) === 'silent' || router.leaseSets.has(target.b32)) {
        connectTo(router, connection, asked, target.b32);
        return;
      }
      router.after(router.timing.lookupMs, () => refuse(answers.b32Unknown(text)));
      return;
    case 'b32-invalid':
      refuse(answers.b32Invalid(text));
      return;
    case 'invalid':
      refuse(answers.destinationInvalid(text));
      return;
    case 'garbled':
      refuse(answers.destinationGarbled(text));
      return;
    default:
      target satisfies never;
  }
}

function connectTo(router: Router, connection: Connection, { session, silent }: Asked, b32: B32): void {
  const { network, temperament, leaseSets } = router;
  const { answers } = temperament;
  if (b32 === session.request.destination.b32) {
    if (temperament.connectToOneself === 'refused') connection.answer(answers.oneself, silent);
    else begin(router, connection, session, b32, silent).vanish();
    return;
  }
  const absence = network.absence(b32);
  if (absence === 'unreachable') {
    connection.answer(answers.peerUnreachable, silent);
    return;
  }
  const peer = absence === undefined ? network.find(b32) : undefined;
  if (peer === undefined) {
    const believed = absence === 'silent' || leaseSets.has(b32);
    // Java I2P waits for the peer, for longer than anybody listens.
    if (temperament.unknownDestination === 'silent') return;
    if (!believed) {
      connection.answer(answers.leaseSetUnknown, silent);
      return;
    }
    begin(router, connection, session, b32, silent).vanish();
    return;
  }
  leaseSets.add(b32);
  if (temperament.connectAnswered === 'when-accepted' && !peer.willTake) {
    connection.answer(answers.nobodyAccepts, silent);
    return;
  }
  peer.arrive(begin(router, connection, session, b32, silent));
}

/** Answers OK and makes a stream of the connection. */
function begin(router: Router, connection: Connection, session: FakeSession, b32: B32, silent: boolean): FakeStream {
  const { network, clock, temperament } = router;
  const own = session.request.destination.b32;
  const path: StreamPath = {
    clock,
    connectorB32: own,
    acceptorB32: b32,
    swallows: temperament.swallows,
    shape: () => network.shapeBetween(own, b32),
    stalled: () => network.stalledBetween(own, b32),
    draw: () => network.draw(),
    onOver: (stream) => network.forget(stream),
  };
  const stream = new FakeStream(connection, session, path);
  network.carry(stream);
  const early = connection.takeRest();
  connection.role = { kind: 'stream', stream };
  connection.answer(OK, silent);
  // 2.45.1 sends as many bytes as there were, but not those.
  if (early.length > 0)
    stream.received(connection, temperament.followOnData === 'kept' ? early : Buffer.alloc(early.length, 'A'));
  return stream;
}

/** The session that a STREAM command names; where there is none, the answer is given. */
function sessionFor(router: Router, connection: Connection, { values }: Command, idMissing: Answer): Asked | undefined {
  const { answers } = router.temperament;
  const id = values.get('ID');
  const silent = values.get('SILENT') === 'true';
  const session = id === undefined ? undefined : router.sessions.get(id);
  if (connection.role.kind !== 'greeted') connection.answer(answers.controlInUse);
  else if (id === undefined) connection.answer(idMissing, silent);
  else if (session === undefined || session.broken) connection.answer(answers.sessionUnknown(id), silent);
  else return { session, silent };
  return undefined;
}
