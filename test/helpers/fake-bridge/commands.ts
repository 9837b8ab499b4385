/** Which command is which, and those that need no session: HELLO, PING, QUIT, DEST GENERATE and NAMING LOOKUP. */
import type { Answer } from './answers.ts';
import { type Command, parseCommand } from './command.ts';
import type { Connection } from './connection.ts';
import { sendOnControl } from './datagrams.ts';
import { generateKeys } from './keys.ts';
import { resolve } from './names.ts';
import type { Router } from './router.ts';
import { createSession } from './session-commands.ts';
import { acceptStream, connectStream, forwardStreams } from './stream-commands.ts';

export function carryOut(router: Router, connection: Connection, line: string): void {
  const command = parseCommand(line, router.temperament);
  if (connection.role.kind === 'new') {
    hello(router, connection, command);
    return;
  }
  const { verb, action } = command;
  switch (`${verb} ${action ?? ''}`) {
    case 'SESSION CREATE':
      createSession(router, connection, command);
      return;
    case 'SESSION ADD':
    case 'SESSION REMOVE':
      connection.answer(router.temperament.answers.noSubsession);
      return;
    case 'STREAM CONNECT':
      connectStream(router, connection, command);
      return;
    case 'STREAM ACCEPT':
      acceptStream(router, connection, command);
      return;
    case 'STREAM FORWARD':
      forwardStreams(router, connection, command);
      return;
    case 'DEST GENERATE':
      generateDestination(router, connection, command);
      return;
    case 'NAMING LOOKUP':
      lookUp(router, connection, command);
      return;
    case 'DATAGRAM SEND':
    case 'RAW SEND':
      sendDatagram(router, connection, command);
      return;
    default:
      oneWord(router, connection, command);
      return;
  }
}

function hello({ temperament }: Router, connection: Connection, { verb, action, values }: Command): void {
  const { answers } = temperament;
  if (verb !== 'HELLO' || action !== 'VERSION') {
    connection.answer(answers.notHello);
    return;
  }
  const version = temperament.negotiate(values.get('MIN'), values.get('MAX'));
  if (version === undefined) {
    connection.answer(answers.noVersion);
    return;
  }
  connection.role = { kind: 'greeted' };
  connection.answer({ text: `HELLO REPLY RESULT=OK VERSION=${version}`, after: 'stay' });
}

function oneWord({ temperament }: Router, connection: Connection, { verb, action, text, values }: Command): void {
  const { answers, ping } = temperament;
  switch (verb) {
    case 'PING':
      if (ping === 'closes' || (ping === 'answers-and-closes' && text === '')) break;
      connection.answer({
        text: text === '' ? 'PONG' : `PONG ${text}`,
        after: ping === 'answers-and-closes' ? 'close' : 'stay',
      });
      return;
    case 'PONG':
      if (ping === 'answers') return;
      break;
    case 'QUIT':
    case 'STOP':
    case 'EXIT':
      connection.answer(answers.quit(verb));
      return;
    case 'STREAM':
      // Java I2P looks at the session before it looks at the second word.
      if (temperament.reads === 'lines') {
        connection.answer(answers.sessionUnknown(values.get('ID') ?? ''));
        return;
      }
      break;
  }
  connection.answer(answers.unknownCommand(verb, action));
}

function generateDestination({ temperament }: Router, connection: Connection, { values }: Command): void {
  const { signatures, answers } = temperament;
  const type = values.get('SIGNATURE_TYPE');
  const signature = signatures.find(type);
  if (signature === undefined) {
    connection.answer(answers.signatureUnsupported(type ?? ''));
    return;
  }
  const cryptoType = signatures.cryptoTypes ? Number(values.get('CRYPTO_TYPE') ?? 0) : 0;
  const { destination, blob } = generateKeys(signature, cryptoType);
  connection.answer({ text: `DEST REPLY PUB=${destination.base64} PRIV=${blob}`, after: 'stay' });
}

function lookUp(router: Router, connection: Connection, { values }: Command): void {
  const { answers, lookupOfMeWithoutSession } = router.temperament;
  const name = values.get('NAME');
  if (name === undefined) {
    connection.answer(answers.nameMissing);
    return;
  }
  const found = (base64: string): Answer => ({
    text: `NAMING REPLY RESULT=OK NAME=${name} VALUE=${base64}`,
    after: 'stay',
  });
  if (name === 'ME') {
    if (connection.role.kind === 'control') {
      connection.answer(found(connection.role.session.request.destination.base64));
      return;
    }
    if (lookupOfMeWithoutSession === 'closes') {
      connection.answer({ text: undefined, after: 'close' });
      return;
    }
    connection.answer(found(router.own.base64));
    return;
  }
  const target = resolve(router, name);
  switch (target.kind) {
    case 'destination':
      connection.answer(found(target.base64));
      return;
    case 'b32-unknown':
      connection.hold();
      router.after(router.timing.lookupMs, () => {
        connection.answer(answers.nameUnknown(name));
        connection.release();
      });
      return;
    case 'b32-invalid':
    case 'invalid':
    case 'garbled':
      connection.answer(answers.nameUnknown(name));
      return;
    default:
      target satisfies never;
  }
}

/** RAW ones are not carried, nor those of a connection without a session for them: what becomes of it is all there is. */
function sendDatagram(router: Router, connection: Connection, command: Command): void {
  const { temperament } = router;
  const { verb, values } = command;
  const { role } = connection;
  if (verb === 'DATAGRAM' && role.kind === 'control' && role.session.request.style === 'DATAGRAM') {
    sendOnControl(router, connection, role.session, command);
    return;
  }
  switch (temperament.datagramSend) {
    case 'closes':
      connection.close();
      return;
    case 'deafens':
      connection.role = { kind: 'deaf' };
      return;
    case 'deafens-with-size':
      if (values.has('SIZE')) connection.role = { kind: 'deaf' };
      return;
    default:
      temperament.datagramSend satisfies never;
  }
}
