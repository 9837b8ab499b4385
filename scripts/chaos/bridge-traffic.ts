/**
 * What goes between a pair of gateways while something happens to a bridge: numbered packets both ways, and a connection
 * through SOCKS to an echo server behind the peer.
 */
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { HEADER_LENGTH } from '../../src/wire/packet/ipv6.ts';
import type { RunningGateway } from '../../test/sim/gateway-kit.ts';
import { packet } from '../../test/sim/packets.ts';
import type { BridgePair } from './bridge-pair.ts';
import { ECHO_PACE, type EchoProgress, echoOn, pattern } from './echo-stream.ts';
import { Meter } from './meter.ts';
import { letHappen } from './outage.ts';
import { reader, throughSocks } from './socks-client.ts';
import type { Broken } from './verdict.ts';

type Kind = 'packets' | 'socks';

export interface BridgeOutage {
  /** Longest time without a packet one of the ways, or without an echo, in milliseconds; undefined when none came any more. */
  readonly away: Readonly<Record<Kind, number | undefined>>;
  readonly wrong: Readonly<Record<Kind, string | undefined>>;
  readonly broken: readonly Broken[];
  /** Packets, both ways together. */
  readonly lost: number;
}

export interface BridgeTraffic {
  /** @param patienceMs how long traffic may take once `happen` has returned */
  during(happen: () => Promise<void>, patienceMs: number): Promise<BridgeOutage>;
  stop(): Promise<void>;
}

const EVERY_MS = 100;
const LOOK_EVERY_MS = 20;
const PAYLOAD = 200;
/** Between two attempts of the client; what it waits counts as time away. */
const AGAIN_MS = 200;

export function startBridgeTraffic(pair: BridgePair): BridgeTraffic {
  const over = new AbortController();
  const meter = () => new Meter(() => performance.now());
  const meters = { there: meter(), back: meter(), socks: meter() };
  let broken: Broken[] = [];
  /** Of the connection that there is: of all of its time, and what had not come when the fault began. */
  let progress: EchoProgress = { sent: 0, came: 0 };
  let inFlight = 0;

  let sent = 0;
  const sending = setInterval(() => {
    sent += 1;
    send(sent, pair.alice.running, pair.bob.running, meters.there);
    send(sent, pair.bob.running, pair.alice.running, meters.back);
  }, EVERY_MS);
  const looking = setInterval(() => {
    look(pair.alice.running, pair.bob.running, meters.there);
    look(pair.bob.running, pair.alice.running, meters.back);
  }, LOOK_EVERY_MS);

  const talk = async () => {
    const socket = connect({ host: '127.0.0.1', port: pair.alice.running.socksPort, noDelay: true });
    const giveUp = () => socket.destroy();
    over.signal.addEventListener('abort', giveUp, { once: true });
    socket.once('close', () => over.signal.removeEventListener('abort', giveUp));
    const read = reader(socket);
    try {
      await throughSocks(socket, read, pair.echo.host, pair.echo.port);
    } catch {
      // Refused while there is no way to the peer.
      socket.destroy();
      return;
    }
    const heard = (now: EchoProgress) => {
      progress = now;
      meters.socks.heard();
    };
    const end = await echoOn(socket, read, heard, over.signal);
    if (end.isWrong) meters.socks.isWrong(end.why);
    else if (end.came > 0) {
      broken.push({ stream: 'socks', why: end.why, lost: end.sent - end.came, inFlight, pace: ECHO_PACE });
    }
    // The next one had nothing in flight.
    inFlight = 0;
  };
  const talking = (async () => {
    while (!over.signal.aborted) {
      await talk();
      await pause(AGAIN_MS, undefined, { signal: over.signal }).catch(() => {});
    }
  })();

  return {
    during: async (happen, patienceMs) => {
      const start = () => {
        broken = [];
        inFlight = progress.sent - progress.came;
        return happen();
      };
      const { repairedAt, backAt } = await letHappen(meters, start, patienceMs, over.signal);
      const [there, back, socks] = [meters.there, meters.back, meters.socks].map((one) => one.away(repairedAt));
      return {
        away: { packets: there === undefined || back === undefined ? undefined : Math.max(there, back), socks },
        wrong: { packets: meters.there.wrong ?? meters.back.wrong, socks: meters.socks.wrong },
        broken,
        lost: meters.there.lost(backAt) + meters.back.lost(backAt),
      };
    },
    stop: async () => {
      over.abort();
      clearInterval(sending);
      clearInterval(looking);
      await talking;
    },
  };
}

function numbered(number: number, from: RunningGateway, to: RunningGateway): Buffer {
  const payload = pattern(number, PAYLOAD);
  payload.writeUInt32BE(number);
  return packet(from.addresses.oc, to.addresses.oc, payload);
}

/** As the host behind `from` does. */
function send(number: number, from: RunningGateway, to: RunningGateway, meter: Meter): void {
  meter.sent(number);
  if (!from.tun.closed) from.tun.send(numbered(number, from, to));
}

/** At what the host behind `to` has got. */
function look(from: RunningGateway, to: RunningGateway, meter: Meter): void {
  for (const arrived of to.tun.delivered.splice(0)) {
    const number = arrived.length < HEADER_LENGTH + PAYLOAD ? 0 : arrived.readUInt32BE(HEADER_LENGTH);
    if (arrived.equals(numbered(number, from, to))) meter.heard(number);
    else meter.isWrong(`a packet of ${arrived.length} bytes is none that was sent`);
  }
}
