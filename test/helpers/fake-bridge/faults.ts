/** Rules by which a fake bridge misbehaves: which line they wait for, how often they apply, and what happens then. */

/** How an answer is sent. */
export interface Delivery {
  readonly delayMs?: number;
  /** Positions at which the answer is cut into segments, or every byte in a segment of its own. */
  readonly split?: readonly number[] | 'bytes';
  /** Between two segments; without it they are one turn of the event loop apart. */
  readonly pauseMs?: number;
  /** Only this many bytes are sent. */
  readonly cut?: number;
  readonly after?: 'stay' | 'close' | 'reset';
}

export type Action =
  /** The command is not carried out, and nothing is said. */
  | { readonly kind: 'silence' }
  | { readonly kind: 'close' }
  | { readonly kind: 'reset' }
  /** The command is not carried out; `text` is sent as it stands, with its newline if there is to be one. */
  | ({ readonly kind: 'instead'; readonly text: string } & Delivery)
  /** The command is carried out, and its true answer, newline included, is altered and delivered like this. */
  | ({ readonly kind: 'answer'; readonly alter?: (answer: string) => string } & Delivery)
  /** The command is not carried out; a line begins that does not end within so many bytes. */
  | { readonly kind: 'endless'; readonly bytes: number };

/** In whose place nothing whole is said. */
export type Refusal = Exclude<Action, { readonly kind: 'instead' | 'answer' }>;

export interface Rule {
  /** How the line begins, or what it matches; `arrival` is the line that names the peer to an ACCEPT. */
  readonly on: string | RegExp;
  /** Always, where absent. */
  readonly times?: number;
  readonly action: Action;
}

/** Who said the line. */
export interface SocketInfo {
  /** The first connection to the bridge is 1. */
  readonly connection: number;
  /** SAM's name of the session that the connection belongs to. */
  readonly session: string | undefined;
}

/** Asked for every line (keys masked, without newline), the line that names a peer being `arrival`. */
export type Decide = (line: string, from: SocketInfo) => Action | undefined;

/** The line with which a stream comes to an ACCEPT, as rules know it. */
export const ARRIVAL = 'arrival';

export class Faults {
  #deciders: Decide[] = [];

  add(decide: Decide): void {
    this.#deciders.push(decide);
  }

  addRule(rule: Rule): void {
    let left = rule.times ?? Number.POSITIVE_INFINITY;
    this.add((line) => {
      const meant = typeof rule.on === 'string' ? line.startsWith(rule.on) : rule.on.test(line);
      if (!meant || left <= 0) return undefined;
      left -= 1;
      return rule.action;
    });
  }

  clear(): void {
    this.#deciders = [];
  }

  /** The first rule that applies decides. */
  decide(line: string, from: SocketInfo): Action | undefined {
    for (const decide of this.#deciders) {
      const action = decide(line, from);
      if (action !== undefined) return action;
    }
    return undefined;
  }
}

/** What one delivery comes down to, step by step. */
export type Step =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  /** Zero is one turn of the event loop. */
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'flood'; readonly bytes: number }
  | { readonly kind: 'close' }
  | { readonly kind: 'reset' };

export function deliverySteps(text: string, delivery: Delivery): Step[] {
  const whole = Buffer.from(text, 'latin1').subarray(0, delivery.cut);
  const { split = [] } = delivery;
  const cuts = split === 'bytes' ? [...whole.keys()].slice(1) : split.filter((at) => at > 0 && at < whole.length);
  const steps: Step[] = delivery.delayMs === undefined ? [] : [{ kind: 'wait', ms: delivery.delayMs }];
  for (const [index, from] of [0, ...cuts].entries()) {
    if (index > 0) steps.push({ kind: 'wait', ms: delivery.pauseMs ?? 0 });
    steps.push({ kind: 'bytes', bytes: whole.subarray(from, cuts[index]) });
  }
  // A reset in the same poll as the bytes before it looks like an end to libuv, so the client gets time to read these.
  if (delivery.after === 'reset') steps.push({ kind: 'wait', ms: 0 }, { kind: 'wait', ms: 0 });
  if (delivery.after === 'close' || delivery.after === 'reset') steps.push({ kind: delivery.after });
  return steps;
}
