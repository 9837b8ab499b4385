/** A TUN interface without a kernel: the test is the host on the other side of it. */
import type { PacketRun, PeerRoutes, TunPort, TunState, TunTraffic } from '../../src/core/ports.ts';
import type { GateError } from '../../src/kit/errors.ts';
import { packetLength } from '../../src/wire/packet/ipv6.ts';

export class FakeTun implements TunPort {
  readonly name = 'fake0';
  readonly mtu = 1500;
  readonly takesBig = false;
  /** Every packet that the gateway handed to the host, in order. */
  readonly delivered: Buffer[] = [];
  closed = false;
  /** As they were last asked for. */
  routes: PeerRoutes | undefined;
  /** What the kernel would say of it. */
  shown: TunState = 'up';
  #take: ((run: PacketRun) => void) | undefined;
  #lost: ((error: GateError) => void) | undefined;
  #watchers: Array<() => void> = [];

  /** The host sends packets, back to back; the memory is overwritten afterwards, as with the real one. */
  send(...packets: readonly Buffer[]): void {
    const run = Buffer.concat(packets);
    this.#take?.(run);
    run.fill(0xee);
  }

  /** Somebody deletes the interface. */
  lose(error: GateError): void {
    this.#lost?.(error);
  }

  onPackets(take: (run: PacketRun) => void): void {
    this.#take = take;
  }

  onLost(lost: (error: GateError) => void): void {
    this.#lost = lost;
  }

  write(run: PacketRun): void {
    for (let at = 0; at < run.length; ) {
      const end = at + packetLength(run, at);
      this.delivered.push(Buffer.from(run.subarray(at, end)));
      at = end;
    }
    for (const watch of this.#watchers) watch();
  }

  /** Resolves when so many packets have been delivered. */
  async has(count: number, withinMs = 5_000): Promise<readonly Buffer[]> {
    if (this.delivered.length >= count) return this.delivered;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${this.delivered.length} of ${count} packets came within ${withinMs} ms`)),
        withinMs,
      );
      this.#watchers.push(() => {
        if (this.delivered.length < count) return;
        clearTimeout(timer);
        resolve();
      });
    });
    return this.delivered;
  }

  keepWhole(): void {}

  cutAll(): void {}

  traffic(): TunTraffic {
    return {
      readPackets: 0,
      readBytes: 0,
      reads: 0,
      writtenPackets: this.delivered.length,
      writtenBytes: 0,
      writes: 0,
    };
  }

  drops(): Readonly<Record<string, number>> {
    return {};
  }

  state(): TunState {
    return this.closed ? 'down' : this.shown;
  }

  pollChanges(): boolean {
    return false;
  }

  restore(): void {}

  route(routes: PeerRoutes): void {
    this.routes = routes;
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}
