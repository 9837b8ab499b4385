/** SESSION CREATE, which i2pd and Java I2P check in different orders and refuse in different words. */
import { isIPv4 } from 'node:net';
import { parsePrivateKeys } from '../../../src/wire/i2p/destination.ts';
import { type Answer, DUPLICATED_ID, SESSION_INVALID_ID, SESSION_INVALID_KEY } from './answers.ts';
import type { Command } from './command.ts';
import type { Connection } from './connection.ts';
import { type FakeKeys, generateKeys } from './keys.ts';
import type { Router } from './router.ts';
import { FakeSession } from './session.ts';

/** RAW sessions exist, but carry nothing. MASTER and PRIMARY are not there at all. */
const STYLES = ['STREAM', 'DATAGRAM', 'RAW'];
const OWN_VALUES = ['STYLE', 'ID', 'DESTINATION', 'SIGNATURE_TYPE'];

export function createSession(router: Router, connection: Connection, command: Command): void {
  const { temperament } = router;
  const { role } = connection;
  if (role.kind !== 'greeted') {
    if (role.kind !== 'control' || temperament.secondSession !== 'replaces') {
      connection.answer(temperament.answers.sessionExists);
      return;
    }
  }
  const refusal = temperament.reads === 'segments' ? refusedByI2pd(router, command) : refusedByJava(router, command);
  if (refusal === 'no-answer') {
    connection.role = { kind: 'deaf' };
    return;
  }
  if (refusal !== undefined) {
    connection.answer(refusal);
    return;
  }
  const keys = keysOf(router, command);
  if (keys === undefined) {
    connection.answer(refused(router, SESSION_INVALID_KEY));
    return;
  }
  const twin = [...router.sessions.values()].some(({ request }) => request.destination.b32 === keys.destination.b32);
  if (twin && temperament.sameKeyTwice === 'refused') {
    connection.answer(temperament.answers.duplicateDestination);
    return;
  }
  open(router, connection, command, keys);
}

function open(router: Router, connection: Connection, { values }: Command, keys: FakeKeys): void {
  const id = values.get('ID') ?? '';
  const options = Object.fromEntries([...values].filter(([name]) => !OWN_VALUES.includes(name)));
  const request = { id, style: values.get('STYLE') ?? '', options, ...keys };
  const session = new FakeSession(request, connection, router);
  session.adopted = router.lingering.has(keys.destination.b32);
  const earlier = connection.role.kind === 'control' ? connection.role.session : undefined;
  connection.role = { kind: 'control', session };
  router.sessions.set(id, session);
  if (earlier !== undefined) replace(router, earlier);
  // Neither router reads what the client says, or that it is gone, before it has answered.
  connection.hold();
  router.after(session.adopted ? 0 : router.timing.sessionMs, () => {
    if (router.sessions.get(id) !== session) return;
    router.network.publish(session);
    connection.answer({ text: `SESSION STATUS RESULT=OK DESTINATION=${keys.blob}`, after: 'stay' });
    connection.release();
  });
}

/** The connection goes over to another session, and the one that it had ends. */
function replace(router: Router, earlier: FakeSession): void {
  router.sessions.delete(earlier.request.id);
  router.network.withdraw(earlier);
  router.network.abandon(earlier, router.temperament.sessionClosed);
  earlier.end();
}

function keysOf({ temperament }: Router, { values }: Command): FakeKeys | undefined {
  const wanted = values.get('DESTINATION') ?? '';
  if (wanted === 'TRANSIENT') {
    const signature = temperament.signatures.find(values.get('SIGNATURE_TYPE'));
    return signature === undefined ? undefined : generateKeys(signature);
  }
  try {
    return { destination: parsePrivateKeys(wanted).destination, blob: wanted };
  } catch {
    return undefined;
  }
}

function refusedByI2pd(router: Router, { values }: Command): Answer | 'no-answer' | undefined {
  const { answers } = router.temperament;
  const id = values.get('ID') ?? '';
  if (/[<>"'/]/.test(id)) return refused(router, SESSION_INVALID_ID);
  if (router.sessions.has(id)) return refused(router, DUPLICATED_ID);
  const style = values.get('STYLE') ?? '';
  if (!STYLES.includes(style)) return answers.styleUnknown;
  const [host, port] = [values.get('HOST'), values.get('PORT')];
  if (style !== 'STREAM' && host !== undefined && port !== undefined) {
    if (!isIPv4(host)) return sessionError(router, 'Invalid IP Address in HOST');
    // 2.45.1 never answers this.
    if (!/^\d+$/.test(port)) {
      return router.temperament.quotedValues ? sessionError(router, 'Invalid port') : 'no-answer';
    }
  }
  return (values.get('DESTINATION') ?? '') === '' ? answers.destinationMissing : undefined;
}

function refusedByJava(router: Router, { values }: Command): Answer | undefined {
  const { answers } = router.temperament;
  const id = values.get('ID');
  if (id === undefined) return answers.idMissing;
  if (router.sessions.has(id)) return refused(router, DUPLICATED_ID);
  const style = values.get('STYLE');
  if (style === undefined) return answers.styleMissing;
  if (!values.has('DESTINATION')) return answers.destinationMissing;
  return STYLES.includes(style) ? undefined : answers.styleUnknown;
}

function sessionError(router: Router, message: string): Answer {
  return refused(router, `SESSION STATUS RESULT=I2P_ERROR MESSAGE="${message}"`);
}

function refused({ temperament }: Router, text: string): Answer {
  return { text, after: temperament.closesWhenRefused ? 'close' : 'stay' };
}
