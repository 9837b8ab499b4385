/**
 * What can be asked of a running gateway. Each method says what it does and which parameters it takes, and `help` prints
 * that, so that the list can never be incomplete.
 */
import { z } from 'zod';
import { GateError } from '../kit/errors.ts';
import type { ExposureReport } from './exposure.ts';
import { LONGEST_PING_MS, type PingReport, SHORTEST_PING_MS } from './ping.ts';
import type { ControlRequest } from './protocol.ts';
import type { ReloadReport } from './reload.ts';
import { type StatusReport, shortened } from './status.ts';

export interface ControlMethod {
  readonly name: string;
  readonly doc: string;
  /** Names of the parameters, each with what it is. */
  readonly params: Readonly<Record<string, string>>;
  /** @throws GateError */
  call(params: unknown, signal: AbortSignal): unknown;
}

/** What the methods need to know of the gateway. */
export interface ControlSubject {
  status(): StatusReport | Promise<StatusReport>;
  exposure(): ExposureReport | Promise<ExposureReport>;
  /** @throws GateError when there is no such peer, and `limit` when there are too many pings already */
  ping(peer: string, timeoutMs: number, signal: AbortSignal): Promise<PingReport>;
  /** @throws GateError and nothing is changed */
  reload(): Promise<ReloadReport>;
}

export interface MethodRegistry {
  readonly methods: readonly ControlMethod[];
  /**
   * @param signal aborts when nobody waits for the answer any more; what changes something is finished all the same
   * @throws GateError
   */
  call(request: ControlRequest, signal: AbortSignal): Promise<unknown>;
}

export function createMethodRegistry(subject: ControlSubject): MethodRegistry {
  const reveal = z.strictObject({ reveal: z.boolean().default(false).describe('show names and addresses in full') });
  const pingParams = z.strictObject({
    peer: z.string().max(256).describe('name, b32 name or address of a peer'),
    timeoutMs: z.number().min(SHORTEST_PING_MS).max(LONGEST_PING_MS).default(60_000).describe('for all steps together'),
  });
  const report = async (full: boolean) => (full ? await subject.status() : shortened(await subject.status()));
  const methods: readonly ControlMethod[] = [
    method('help', 'Lists the methods.', z.strictObject({}), () =>
      methods.map(({ name, doc, params }) => ({ name, doc, params })),
    ),
    method('status', 'The state of the gateway.', reveal, (params) => report(params.reveal)),
    method('ping', 'How far one gets on the way to a peer.', pingParams, ({ peer, timeoutMs }, signal) =>
      subject.ping(peer, timeoutMs, signal),
    ),
    method('peers', 'The peers and their links.', reveal, async (params) => (await report(params.reveal)).peers),
    method('exposure', 'What each peer can reach of this host.', z.strictObject({}), () => subject.exposure()),
    method(
      'reload',
      'Takes over the changed config file: peers, their rules, and the level of the log. All of it or nothing.',
      z.strictObject({}),
      () => subject.reload(),
    ),
  ];
  return {
    methods,
    call: async (request, signal) => {
      const found = methods.find(({ name }) => name === request.method);
      if (found === undefined) {
        const known = methods.map(({ name }) => name).join(', ');
        throw new GateError('unsupported', 'control.method', `there is no such method; there are ${known}`);
      }
      return found.call(request.params, signal);
    },
  };
}

function method<Params extends z.ZodObject>(
  name: string,
  doc: string,
  params: Params,
  run: (params: z.output<Params>, signal: AbortSignal) => unknown,
): ControlMethod {
  const described = Object.entries(params.shape).map(([key, shape]) => [key, describe(shape)] as const);
  return {
    name,
    doc,
    params: Object.fromEntries(described),
    call: (given, signal) => {
      const parsed = params.safeParse(given);
      if (parsed.success) return run(parsed.data, signal);
      const wrong = parsed.error.issues.map((issue) => [...issue.path, issue.message].join(': ')).join('; ');
      throw new GateError('client-protocol', 'control.params', `wrong parameters for ${name}: ${wrong}`);
    },
  };
}

function describe(schema: z.core.$ZodType): string {
  return z.globalRegistry.get(schema)?.description ?? '';
}
