/**
 * A SAM bridge in memory: says what the test wants said, and shows who is connected. One rule per command; a rule that
 * returns nothing leaves the client waiting. Knows no sockets and no time.
 */
import type { BridgePort } from '../../../../src/core/ports.ts';
import { GateError } from '../../../../src/kit/errors.ts';
import { type LineEnd, line, privateKeys } from '../support.ts';

/** A connection that somebody opened to the bridge, seen from the bridge. */
export interface Visit {
  readonly end: LineEnd;
  readonly lines: string[];
  /** Once the connection stands for something. */
  role: 'new' | 'control' | 'accept' | 'connect' | 'naming' | 'ping';
}

export interface Rules {
  version: string;
  /** The router is not there. */
  down: boolean;
  hello: (visit: Visit) => string | undefined;
  create: (visit: Visit, line: string) => string | undefined;
  accept: (visit: Visit) => string | undefined;
  connect: (visit: Visit, line: string) => string | undefined;
  naming: (visit: Visit, name: string) => string | undefined;
  /** On a connection that is nothing else; on a control connection the test answers by itself. */
  ping: (visit: Visit, text: string) => string | undefined;
  /** Silence, which ends a session in time, unless told. */
  controlPing: (text: string) => string | undefined;
}

export const created = (keys: string) => `SESSION STATUS RESULT=OK DESTINATION=${keys}`;
/** What somebody without a key gets. */
export const CREATED = created(privateKeys(1));
export const STREAM_OK = 'STREAM STATUS RESULT=OK';

export class ScriptedBridge implements BridgePort {
  readonly visits: Visit[] = [];
  opened = 0;
  readonly rules: Rules = {
    version: '3.1',
    down: false,
    hello: () => `HELLO REPLY RESULT=OK VERSION=${this.rules.version}`,
    create: (_visit, line) => {
      const [, keys = 'TRANSIENT'] = / DESTINATION=(\S+)/.exec(line) ?? [];
      return keys === 'TRANSIENT' ? CREATED : created(keys);
    },
    accept: () => STREAM_OK,
    connect: () => STREAM_OK,
    naming: () => undefined,
    ping: (_visit, text) => `PONG ${text}`,
    controlPing: () => undefined,
  };

  open(signal: AbortSignal): Promise<LineEnd> {
    this.opened += 1;
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.rules.down) return Promise.reject(new GateError('router-down', 'router.test', 'no router'));
    const [ours, theirs] = line();
    const visit: Visit = { end: theirs, lines: [], role: 'new' };
    this.visits.push(visit);
    const leave = () => {
      const at = this.visits.indexOf(visit);
      if (at >= 0) this.visits.splice(at, 1);
    };
    ours.once('close', leave);
    theirs.once('close', leave);
    theirs.once('end', () => theirs.destroy());
    this.#listen(visit);
    return Promise.resolve(ours);
  }

  of(role: Visit['role']): Visit[] {
    return this.visits.filter((visit) => visit.role === role);
  }

  #listen(visit: Visit): void {
    let held = '';
    const onData = (chunk: Buffer) => {
      held += chunk.toString('latin1');
      for (let end = held.indexOf('\n'); end >= 0; end = held.indexOf('\n')) {
        const command = held.slice(0, end);
        held = held.slice(end + 1);
        visit.lines.push(command);
        const answer = this.#answer(visit, command);
        if (answer !== undefined) visit.end.write(`${answer}\n`);
        if (visit.role === 'connect') {
          visit.end.off('data', onData);
          visit.end.pause();
        }
      }
    };
    visit.end.on('data', onData);
  }

  #answer(visit: Visit, command: string): string | undefined {
    const { rules } = this;
    if (command.startsWith('HELLO')) return rules.hello(visit);
    if (command.startsWith('SESSION CREATE')) {
      visit.role = 'control';
      return rules.create(visit, command);
    }
    if (command.startsWith('STREAM ACCEPT')) {
      visit.role = 'accept';
      return rules.accept(visit);
    }
    if (command.startsWith('STREAM CONNECT')) {
      visit.role = 'connect';
      return rules.connect(visit, command);
    }
    if (command.startsWith('NAMING LOOKUP')) {
      visit.role = 'naming';
      return rules.naming(visit, command.slice('NAMING LOOKUP NAME='.length));
    }
    if (command.startsWith('PING')) {
      const text = command.slice('PING '.length);
      if (visit.role === 'control') return rules.controlPing(text);
      visit.role = 'ping';
      return rules.ping(visit, text);
    }
    return undefined;
  }
}
