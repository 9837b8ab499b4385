/**
 * What comes on one stream of a peer: cut into packets, each judged, and sorted into those for the TUN and keepalives.
 * Packets that stand side by side and may pass are handed on in one piece. A packet that has the same addresses and
 * protocol as the one before it, byte for byte, has the same verdict. Knows no stream and no time.
 */
import type { PacketRun } from '../../core/ports.ts';
import { Deframer } from '../../wire/packet/deframer.ts';
import { isAlike } from '../../wire/packet/flow.ts';
import { isKeepalive } from '../../wire/packet/keepalive.ts';
import type { PacketVerdict, Refusal } from './admission.ts';

export interface InboundSink {
  /** Packets for the TUN; borrowed until it returns. */
  packets(run: PacketRun, count: number): void;
  /** Borrowed until it returns. */
  keepalive(packet: Buffer): void;
  refused(refusal: Refusal): void;
}

/** Of a packet at `bytes[start, end)`. */
export type Judge = (bytes: Buffer, start: number, end: number) => PacketVerdict;

/** Packets side by side in the same memory. */
interface AdmittedRun {
  readonly bytes: Buffer;
  readonly start: number;
  end: number;
  count: number;
  /** Of the last packet that was judged: those behind it are like it. */
  judgedAt: number;
  judgedEnd: number;
}

export class InboundPackets {
  readonly #judge: Judge;
  readonly #sink: InboundSink;
  readonly #deframer = new Deframer();
  #run: AdmittedRun | undefined;

  constructor(judge: Judge, sink: InboundSink) {
    this.#judge = judge;
    this.#sink = sink;
  }

  /** @throws GateError `peer-protocol` when the peer has lost the framing; what came before it has been handed on */
  push(chunk: Buffer): void {
    try {
      this.#deframer.push(chunk, (bytes, start, end) => {
        this.#visit(bytes, start, end);
        // The deframer's own buffer is used again at once.
        if (bytes !== chunk) this.#flush();
      });
    } finally {
      this.#flush();
    }
  }

  #visit(bytes: Buffer, start: number, end: number): void {
    const run = this.#run?.bytes === bytes && this.#run.end === start ? this.#run : undefined;
    if (run !== undefined && isAlike(bytes, run.judgedAt, run.judgedEnd, start, end)) {
      run.end = end;
      run.count += 1;
      return;
    }
    const verdict = this.#judge(bytes, start, end);
    if (verdict !== 'admit') {
      this.#flush();
      this.#sink.refused(verdict);
    } else if (isKeepalive(bytes, start)) {
      this.#flush();
      this.#sink.keepalive(bytes.subarray(start, end));
    } else if (run !== undefined) {
      run.end = run.judgedEnd = end;
      run.judgedAt = start;
      run.count += 1;
    } else {
      this.#flush();
      this.#run = { bytes, start, end, count: 1, judgedAt: start, judgedEnd: end };
    }
  }

  #flush(): void {
    const run = this.#run;
    this.#run = undefined;
    if (run !== undefined) this.#sink.packets(run.bytes.subarray(run.start, run.end), run.count);
  }
}
