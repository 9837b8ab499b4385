/**
 * Which router stands behind a SAM bridge. The version does not tell, since newer i2pd and Java I2P both speak SAM 3.3; but
 * of the two only Java I2P knows PING. That it could not be asked tells nothing.
 */
import { type BackoffRange, backoffDelay } from '../../kit/backoff.ts';
import { type Clock, sleep, within } from '../../kit/clock.ts';
import { asGateError, GateError } from '../../kit/errors.ts';
import type { Logger } from '../../kit/log.ts';
import type { SamCredentials } from '../../wire/sam/command.ts';
import { hello, knowsPorts, provePing, type SamVersion } from '../../wire/sam/conversation.ts';
import type { BridgePort } from '../ports.ts';
import { continueConversation, converse } from './bridge.ts';

export type RouterKind = 'java' | 'i2pd';

export interface AskingEnvironment {
  readonly bridge: BridgePort;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
}

const ANSWER_MS = 5_000;
const ASK_AGAIN: BackoffRange = { firstMs: 1_000, longestMs: 60_000 };
/** Who greets and so often says nothing to PING does not know it; a router that is only busy answers one of them. */
const SILENCES = 3;

/** Why it was not told. */
interface Untold {
  readonly why: GateError;
  /** It answered HELLO, and not PING. */
  readonly silent: boolean;
}

/**
 * Asks until it is told, each time on a connection of its own, since a bridge that only seems to know PING closes the one
 * that it came on. Never rejects.
 *
 * @param version what the bridge speaks on the control connection of the session
 * @param over aborts when nobody needs to know any more
 * @returns undefined when `over` came first
 */
export async function askRouterKind(
  version: SamVersion,
  credentials: SamCredentials | undefined,
  environment: AskingEnvironment,
  over: AbortSignal,
): Promise<RouterKind | undefined> {
  if (!knowsPorts(version)) return 'i2pd';
  const { clock, log, random } = environment;
  let silences = 0;
  for (let failures = 1; ; failures += 1) {
    const answer = await askOnce(credentials, environment, over);
    if (over.aborted) return undefined;
    if (typeof answer === 'string') {
      if (failures > 1) log.info(`the router has answered: it is ${NAMES[answer]}`);
      return answer;
    }
    const { why, silent } = answer;
    if (silent) silences += 1;
    if (silences === SILENCES) {
      log.info(`the router does not answer PING, so it is taken for ${NAMES.i2pd}`);
      return 'i2pd';
    }
    const say = failures === 1 ? log.warn : log.debug;
    say(`could not find out which router this is, asking again: ${why.message}`, { code: why.code });
    await sleep(clock, backoffDelay(ASK_AGAIN, failures, random()), over).catch(() => {});
  }
}

const NAMES = { java: 'Java I2P', i2pd: 'i2pd' } as const satisfies Record<RouterKind, string>;

async function askOnce(
  credentials: SamCredentials | undefined,
  { bridge, clock }: AskingEnvironment,
  over: AbortSignal,
): Promise<RouterKind | Untold> {
  const doing = 'asking which router this is';
  const late = new GateError('router-protocol', 'sam.ping-late', 'the SAM bridge did not answer PING');
  let isGreeted = false;
  try {
    return await within(clock, ANSWER_MS, late, over, async (limit) => {
      const { stream } = await converse(bridge, hello(credentials), doing, limit);
      isGreeted = true;
      try {
        return (await continueConversation(stream, provePing(), doing, limit)) ? 'java' : 'i2pd';
      } finally {
        stream.destroy();
      }
    });
  } catch (error) {
    const why = asGateError(error, doing);
    // i2pd ends the connection on which PING came.
    if (isGreeted && (why.code === 'sam.closed' || why.code === 'sam.broken')) return 'i2pd';
    return { why, silent: isGreeted && why === late };
  }
}
