/**
 * In what three routers differ as SAM bridges, as one table. Seen on i2pd 2.45.1, i2pd 2.59.0 and Java I2P; the recordings
 * are test fixtures. What could not be seen says `assumed`. How the replies are worded stands in answers.ts.
 */
import { type Answers, I2PD_245_ANSWERS, I2PD_259_ANSWERS, JAVA_ANSWERS } from './answers.ts';
import { I2PD_245_SIGNATURES, I2PD_259_SIGNATURES, JAVA_SIGNATURES, type SignatureTypes } from './keys.ts';

export type TemperamentName = 'i2pd-2.45' | 'i2pd-2.59' | 'java';

/** How long things take, in milliseconds. */
export interface Timing {
  /** Until SESSION CREATE is answered. */
  readonly sessionMs: number;
  /** Until a b32 name that nobody has is answered. */
  readonly lookupMs: number;
  /** How long a stream waits for somebody to ACCEPT it, on i2pd. */
  readonly acceptWaitMs: number;
  /** ACCEPTs that wait behind another and are younger than this are closed when one more comes, on i2pd 2.59. */
  readonly burstWindowMs: number;
  /**
   * i2pd: how long the line that names the peer waits for the first data, to share a segment with it. Java I2P: how long
   * the data stays behind that line. Real time, whatever the clock: it stands for the way of bytes through sockets.
   */
  readonly gatherMs: number;
  /** How long i2pd keeps the destination of a session that has ended. */
  readonly lingerMs: number;
  /** i2pd 2.45: from the end of one of two sessions with one key to the end of the router. */
  readonly crashAfterMs: number;
}

export interface Temperament {
  readonly answers: Answers;
  readonly signatures: SignatureTypes;
  readonly recordedTiming: Timing;
  /** i2pd takes one command from each read and forgets what else was in it; Java I2P reads lines. */
  readonly reads: 'segments' | 'lines';
  readonly quotedValues: boolean;
  readonly anyCase: boolean;
  readonly ignoresCarriageReturn: boolean;
  /** Whether a name without a value has the value `true`. */
  readonly emptyIsTrue: boolean;
  /** @returns the version to speak, or undefined when there is none in common */
  readonly negotiate: (least: string | undefined, most: string | undefined) => string | undefined;
  /** i2pd 2.59 answers one PING and closes the connection then. */
  readonly ping: 'closes' | 'answers-and-closes' | 'answers';
  /** What DATAGRAM SEND and RAW SEND do to a connection without a session. */
  readonly datagramSend: 'deafens' | 'deafens-with-size' | 'closes';
  /** Do datagrams carry ports, and may options follow the destination in a line before one? */
  readonly datagramPorts: boolean;
  /** Whether a session that cannot be had costs the connection. */
  readonly closesWhenRefused: boolean;
  readonly secondSession: 'closes' | 'replaces' | 'refused';
  readonly sameKeyTwice: 'breaks' | 'works' | 'refused';
  /**
   * What a session finds whose key has just been in use. i2pd: the old destination, at once, which goes when its time is
   * up, and nobody is told.
   */
  readonly keyOfEndedSession: 'lingers' | 'free';
  readonly lookupOfMeWithoutSession: 'answers' | 'closes';
  /** i2pd says OK to CONNECT as soon as it has a lease set; Java I2P when the peer has accepted. */
  readonly connectAnswered: 'early' | 'when-accepted';
  /** i2pd 2.45.1 says OK, and carries nothing. */
  readonly connectToOneself: 'silence' | 'refused';
  readonly unknownDestination: 'refused' | 'silent';
  /** What stands behind the newline of STREAM CONNECT in the same segment. */
  readonly followOnData: 'garbled' | 'kept';
  readonly fromLine: 'with-first-data' | 'apart';
  readonly fromLinePorts: boolean;
  readonly nobodyAccepts: 'waits' | 'refused';
  readonly acceptBursts: 'served' | 'close-earlier';
  /** The first of several waiting ACCEPTs is closed by its owner: does the next one take its place? */
  readonly firstAcceptClosed: 'next-waits-on' | 'next-serves' | 'one-stream-lost';
  /** What the far end of a stream sees when the near end's session closes. */
  readonly sessionClosed: 'silence' | 'end';
  /** Bytes that one direction of a stream takes ahead of a stalled reader. */
  readonly swallows: number;
}

const COMMON_TIMING = {
  acceptWaitMs: 10_000,
  burstWindowMs: 3_000,
  gatherMs: 5,
  lingerMs: 5_000,
  crashAfterMs: 3_000,
};

const I2PD_245: Temperament = {
  answers: I2PD_245_ANSWERS,
  signatures: I2PD_245_SIGNATURES,
  recordedTiming: { ...COMMON_TIMING, sessionMs: 20_000, lookupMs: 15_000 },
  reads: 'segments',
  quotedValues: false,
  anyCase: false,
  ignoresCarriageReturn: false,
  emptyIsTrue: false,
  negotiate: (least = '3.0', most = '3.1') => [most, least].find((version) => version === '3.0' || version === '3.1'),
  ping: 'closes',
  datagramSend: 'deafens',
  datagramPorts: false,
  closesWhenRefused: true,
  secondSession: 'closes',
  sameKeyTwice: 'breaks',
  keyOfEndedSession: 'lingers',
  lookupOfMeWithoutSession: 'answers',
  connectAnswered: 'early',
  connectToOneself: 'silence',
  unknownDestination: 'refused',
  followOnData: 'garbled',
  fromLine: 'with-first-data',
  fromLinePorts: false,
  nobodyAccepts: 'waits',
  acceptBursts: 'served',
  firstAcceptClosed: 'next-waits-on',
  sessionClosed: 'silence',
  swallows: 36 * 1024 * 1024,
};

const I2PD_259: Temperament = {
  ...I2PD_245,
  answers: I2PD_259_ANSWERS,
  signatures: I2PD_259_SIGNATURES,
  recordedTiming: { ...COMMON_TIMING, sessionMs: 3_000, lookupMs: 0 },
  quotedValues: true,
  ignoresCarriageReturn: true,
  negotiate: (least, most) => {
    if (least === undefined && most === undefined) return '3.0';
    const wanted = [most, least].map(withoutDot).find((number) => number > 0 && number <= 33);
    return wanted === undefined ? undefined : `${Math.floor(wanted / 10)}.${wanted % 10}`;
  },
  ping: 'answers-and-closes',
  datagramSend: 'deafens-with-size',
  secondSession: 'replaces',
  sameKeyTwice: 'works',
  connectToOneself: 'refused',
  followOnData: 'kept',
  acceptBursts: 'close-earlier',
  firstAcceptClosed: 'next-serves',
  // assumed to be as in 2.45: `sessionClosed`
};

const JAVA: Temperament = {
  answers: JAVA_ANSWERS,
  signatures: JAVA_SIGNATURES,
  recordedTiming: { ...COMMON_TIMING, sessionMs: 1_500, lookupMs: 15_000 },
  reads: 'lines',
  quotedValues: true,
  anyCase: true,
  ignoresCarriageReturn: true,
  emptyIsTrue: true,
  negotiate: (least = '1.0', most = '3.3') =>
    ['3.3', '3.2', '3.1', '3.0', '2.0', '1.0'].find(
      (version) => Number(version) >= Number(least) && Number(version) <= Number(most),
    ),
  ping: 'answers',
  datagramSend: 'closes',
  datagramPorts: true,
  closesWhenRefused: false,
  secondSession: 'refused',
  sameKeyTwice: 'refused',
  keyOfEndedSession: 'free',
  lookupOfMeWithoutSession: 'closes',
  connectAnswered: 'when-accepted',
  connectToOneself: 'refused',
  unknownDestination: 'silent',
  followOnData: 'kept',
  fromLine: 'apart',
  fromLinePorts: true,
  nobodyAccepts: 'refused',
  acceptBursts: 'served',
  firstAcceptClosed: 'one-stream-lost',
  sessionClosed: 'end',
  swallows: 2_800_000,
};

export const TEMPERAMENTS: Readonly<Record<TemperamentName, Temperament>> = {
  'i2pd-2.45': I2PD_245,
  'i2pd-2.59': I2PD_259,
  java: JAVA,
};

/** i2pd 2.59 reads `3.1` as 31, `3` as 3, and does not mind what else stands there. */
function withoutDot(version = ''): number {
  return Number(/^\d(?:\.?\d)*/.exec(version)?.[0].replaceAll('.', '') ?? 0);
}
