/** What three routers say, word for word as recorded, and whether they close the connection after it. Decides nothing. */

export interface Answer {
  /** Without its newline; undefined where the router closes without a word. */
  readonly text: string | undefined;
  readonly after: 'stay' | 'close';
}

export interface Answers {
  readonly noVersion: Answer;
  readonly notHello: Answer;
  unknownCommand(verb: string, action: string | undefined): Answer;
  readonly quit: (verb: string) => Answer;
  readonly nameMissing: Answer;
  nameUnknown(name: string): Answer;
  signatureUnsupported(type: string): Answer;

  readonly idMissing: Answer;
  readonly styleMissing: Answer;
  readonly styleUnknown: Answer;
  readonly destinationMissing: Answer;
  readonly duplicateDestination: Answer;
  readonly sessionExists: Answer;
  readonly noSubsession: Answer;

  readonly streamIdMissing: Answer;
  readonly forwardIdMissing: Answer;
  sessionUnknown(id: string): Answer;
  readonly controlInUse: Answer;
  readonly leaseSetUnknown: Answer;
  /** A b32 name without a lease set. */
  b32Unknown(name: string): Answer;
  b32Invalid(name: string): Answer;
  readonly oneself: Answer;
  readonly nobodyAccepts: Answer;
  readonly peerUnreachable: Answer;
  /** Neither a name nor a destination. */
  destinationInvalid(destination: string): Answer;
  /** As long as a destination, but not one. */
  destinationGarbled(destination: string): Answer;
  readonly alreadyForwarding: Answer;
}

const stay = (text: string): Answer => ({ text, after: 'stay' });
const close = (text: string): Answer => ({ text, after: 'close' });
const JUST_CLOSE: Answer = { text: undefined, after: 'close' };

export const DUPLICATED_ID = 'SESSION STATUS RESULT=DUPLICATED_ID';
export const SESSION_INVALID_KEY = 'SESSION STATUS RESULT=INVALID_KEY';
export const SESSION_INVALID_ID = 'SESSION STATUS RESULT=INVALID_ID';
export const STREAM_OK = 'STREAM STATUS RESULT=OK';

const STREAM_INVALID_ID = close('STREAM STATUS RESULT=INVALID_ID');
const STREAM_INVALID_KEY = close('STREAM STATUS RESULT=INVALID_KEY');
const CANT_REACH_PEER = close('STREAM STATUS RESULT=CANT_REACH_PEER');

export const I2PD_245_ANSWERS: Answers = {
  noVersion: close('HELLO REPLY RESULT=NOVERSION'),
  notHello: JUST_CLOSE,
  unknownCommand: () => JUST_CLOSE,
  quit: () => JUST_CLOSE,
  nameMissing: stay('NAMING REPLY RESULT=INVALID_KEY NAME='),
  nameUnknown: (name) => stay(`NAMING REPLY RESULT=INVALID_KEY NAME=${name}`),
  // assumed: recorded is only that 2.59 refuses some types
  signatureUnsupported: () => JUST_CLOSE,

  idMissing: close(SESSION_INVALID_ID),
  styleMissing: close('SESSION STATUS RESULT=I2P_ERROR MESSAGE="Unknown STYLE"'),
  styleUnknown: close('SESSION STATUS RESULT=I2P_ERROR MESSAGE="Unknown STYLE"'),
  destinationMissing: close(SESSION_INVALID_KEY),
  duplicateDestination: close('SESSION STATUS RESULT=DUPLICATED_DEST'),
  sessionExists: JUST_CLOSE,
  noSubsession: close('SESSION STATUS RESULT=I2P_ERROR MESSAGE="Wrong session type"'),

  streamIdMissing: STREAM_INVALID_ID,
  forwardIdMissing: STREAM_INVALID_ID,
  sessionUnknown: () => STREAM_INVALID_ID,
  controlInUse: close('SESSION STATUS RESULT=I2P_ERROR MESSAGE="Socket already in use"'),
  leaseSetUnknown: CANT_REACH_PEER,
  b32Unknown: () => CANT_REACH_PEER,
  b32Invalid: () => STREAM_INVALID_KEY,
  oneself: CANT_REACH_PEER,
  nobodyAccepts: CANT_REACH_PEER,
  peerUnreachable: CANT_REACH_PEER,
  destinationInvalid: () => STREAM_INVALID_KEY,
  destinationGarbled: () => CANT_REACH_PEER,
  alreadyForwarding: close('SESSION STATUS RESULT=I2P_ERROR MESSAGE="Already accepting"'),
};

const LEASE_SET_NOT_FOUND = close('STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE="LeaseSet not found"');

export const I2PD_259_ANSWERS: Answers = {
  ...I2PD_245_ANSWERS,
  forwardIdMissing: close('SESSION STATUS RESULT=I2P_ERROR MESSAGE="Missing ID"'),
  leaseSetUnknown: LEASE_SET_NOT_FOUND,
  b32Unknown: () => LEASE_SET_NOT_FOUND,
  oneself: close(`STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE="Can't connect to myself"`),
  peerUnreachable: LEASE_SET_NOT_FOUND,
  destinationGarbled: () => LEASE_SET_NOT_FOUND,
};

const STREAM_ID_MISSING = close('STREAM STATUS RESULT=I2P_ERROR MESSAGE="ID not specified"');
const sessionError = (message: string) => stay(`SESSION STATUS RESULT=I2P_ERROR MESSAGE="${message}"`);
const invalidKey = (message: string) => close(`STREAM STATUS RESULT=INVALID_KEY MESSAGE="${message}"`);
const HELP = 'https://geti2p.net/en/docs/api/samv3';

export const JAVA_ANSWERS: Answers = {
  noVersion: close('HELLO REPLY RESULT=NOVERSION'),
  notHello: close('HELLO REPLY RESULT=I2P_ERROR MESSAGE="Must start with HELLO VERSION"'),
  unknownCommand: (verb, action) => {
    if (verb === 'HELP') return stay(`HELP STATUS RESULT=OK MESSAGE=${HELP}`);
    if (verb === 'SESSION') return sessionError('Unrecognized opcode');
    if (verb === 'DEST' || verb === 'NAMING') return JUST_CLOSE;
    const what = action === undefined ? 'missing subcommand' : 'unsupported command';
    return stay(`${verb} STATUS RESULT=I2P_ERROR MESSAGE="${what}, enter HELP for help"`);
  },
  quit: (verb) => close(`${verb} STATUS RESULT=OK MESSAGE=bye`),
  nameMissing: stay('NAMING REPLY RESULT=KEY_NOT_FOUND NAME="" MESSAGE="Must specify NAME"'),
  nameUnknown: (name) => stay(`NAMING REPLY RESULT=KEY_NOT_FOUND NAME=${name}`),
  signatureUnsupported: (type) => close(`DEST REPLY RESULT=I2P_ERROR MESSAGE="SIGNATURE_TYPE ${type} unsupported"`),

  idMissing: sessionError('ID not specified'),
  styleMissing: sessionError('No SESSION STYLE specified'),
  styleUnknown: sessionError('Unrecognized SESSION STYLE'),
  destinationMissing: sessionError('DESTINATION not specified'),
  duplicateDestination: sessionError(
    'Error creating I2PSocketManager: [SAM TCP Client(CLOSED)]: Failed to build tunnels - ' +
      'Disconnected from router while waiting for tunnels: duplicate destination',
  ),
  sessionExists: sessionError('Session already exists'),
  noSubsession: sessionError('Not a PRIMARY session'),

  streamIdMissing: STREAM_ID_MISSING,
  forwardIdMissing: STREAM_ID_MISSING,
  sessionUnknown: (id) => close(`STREAM STATUS RESULT=INVALID_ID MESSAGE="STREAM SESSION ID ${id} does not exist"`),
  controlInUse: stay('STREAM STATUS RESULT=I2P_ERROR MESSAGE="v3 control socket cannot be used for STREAM"'),
  leaseSetUnknown: CANT_REACH_PEER,
  b32Unknown: (name) => invalidKey(`Lease set not found: ${name}`),
  b32Invalid: (name) => invalidKey(`Lease set not found: ${name}`),
  oneself: close(
    'STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE="local loopback denied, set i2cp.disableLoopback=true to test ' +
      'sending to yourself through tunnels"',
  ),
  nobodyAccepts: close('STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE="Connection reset"'),
  // assumed: a peer that is known to be away was not recorded
  peerUnreachable: CANT_REACH_PEER,
  destinationInvalid: (destination) => invalidKey(`Host name not found: ${destination}`),
  destinationGarbled: (destination) => invalidKey(`Bad Base64 dest: ${destination}`),
  alreadyForwarding: stay(
    'STREAM STATUS RESULT=I2P_ERROR MESSAGE="Forwarding failed : an accepting server is already defined for this destination"',
  ),
};
