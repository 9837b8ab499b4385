/** A SAM session that carries streams: what the VPN, SOCKS connections and accepted streams stand on. */
import type { Duplex } from 'node:stream';
import { asGateError } from '../../kit/errors.ts';
import { connectStream } from '../../wire/sam/conversation.ts';
import { converse } from './bridge.ts';
import { type SessionEnvironment, SessionLife, type SessionSettings } from './life.ts';

export class Session extends SessionLife {
  readonly #settings: SessionSettings;
  readonly #environment: SessionEnvironment;

  constructor(settings: SessionSettings, environment: SessionEnvironment) {
    super(async () => ({ style: { kind: 'stream' } }), settings, environment);
    this.#settings = settings;
    this.#environment = environment;
  }

  /**
   * Opens a stream to a destination. It is open when this resolves, but the peer may still be silent: i2pd says OK
   * before the peer has accepted.
   *
   * @param destination base64 destination or `.b32.i2p` name
   */
  async connect(destination: string, port: number, signal: AbortSignal): Promise<Duplex> {
    const { id, over, gone } = await this.ready(signal);
    const request = connectStream({ id, destination, port }, this.#settings.credentials);
    try {
      // A router that stopped may never answer; what it was asked ends with the session.
      return (await converse(this.#environment.bridge, request, 'opening a stream', signal, over)).stream;
    } catch (error) {
      const why = asGateError(error, 'opening a stream');
      if (why.kind === 'session-lost') gone(why);
      throw why;
    }
  }
}
